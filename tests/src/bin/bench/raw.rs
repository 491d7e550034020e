//! The baseline: a raw JetStream pipe on the same server, one message per event.
//!
//! Publisher and consumer are processes of their own. The publisher keeps a window of messages
//! without an acknowledgement; the consumer pulls without acknowledging, as Tieline does.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream;
use futures_util::StreamExt;
use tieline_tests::process::cpu_seconds;

/// Messages without an acknowledgement.
const WINDOW: usize = 4_096;
const STREAM: &str = "RAW";
const SUBJECT: &str = "raw.events";

/// One round of the raw pipe.
pub(crate) struct Round {
    /// From the first publish to the last message at the consumer.
    pub(crate) seconds: f64,
    /// CPU of publisher and consumer.
    pub(crate) cpu_seconds: f64,
}

fn child(role: &str, url: &str, keys: &str, count: usize, bytes: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([role, url, keys, &count.to_string(), &bytes.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process")
}

/// Runs one round over `url` with the inbox user whose keys lie in `keys`.
pub(crate) fn round(url: &str, keys: &str, count: usize, bytes: usize) -> Round {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let js = jetstream::new(connect(url, keys).await);
        js.delete_stream(STREAM).await.ok();
        let config = jetstream::stream::Config {
            name: STREAM.to_owned(),
            subjects: vec![SUBJECT.to_owned()],
            storage: jetstream::stream::StorageType::File,
            ..Default::default()
        };
        js.create_stream(config).await.expect("a stream");
    });
    let begun = Instant::now();
    let consumer = child("raw-consumer", url, keys, count, bytes);
    let publisher = child("raw-publisher", url, keys, count, bytes);
    let cpu = |child: Child| -> (f64, f64) {
        let output = child.wait_with_output().expect("an end");
        let said = String::from_utf8(output.stdout).expect("a text");
        let mut numbers = said.split_whitespace().map(|number| number.parse::<f64>().expect("a number"));
        (numbers.next().expect("a number"), numbers.next().expect("a number"))
    };
    let (published_cpu, startup) = cpu(publisher);
    let (consumed_cpu, _) = cpu(consumer);
    // Connecting is not the pipe.
    Round { seconds: begun.elapsed().as_secs_f64() - startup, cpu_seconds: published_cpu + consumed_cpu }
}

async fn connect(url: &str, keys: &str) -> async_nats::Client {
    let seed = std::fs::read_to_string(std::path::Path::new(keys).join("inbox.nk")).expect("a key");
    let options = async_nats::ConnectOptions::with_nkey(seed.trim().to_owned());
    options.connect(url).await.expect("a connection")
}

fn arguments(arguments: &[String]) -> (String, String, usize, usize) {
    let [url, keys, count, bytes] = arguments else { panic!("url, keys, count, bytes") };
    (url.clone(), keys.clone(), count.parse().unwrap(), bytes.parse().unwrap())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Publishes and says its CPU and the time that connecting took.
pub(crate) fn publisher(said: &[String]) {
    let (url, keys, count, bytes) = arguments(said);
    let begun = Instant::now();
    let startup = runtime().block_on(async {
        let context =
            jetstream::ContextBuilder::new().timeout(Duration::from_secs(30)).max_ack_inflight(WINDOW);
        let js = context.build(connect(&url, &keys).await);
        let startup = begun.elapsed();
        let room = Arc::new(tokio::sync::Semaphore::new(WINDOW));
        let payload = bytes::Bytes::from(vec![b'x'; bytes]);
        for _ in 0..count {
            let permit = room.clone().acquire_owned().await.unwrap();
            let ack = js.publish(SUBJECT, payload.clone()).await.expect("published");
            tokio::spawn(async move {
                ack.await.expect("acknowledged");
                drop(permit);
            });
        }
        drop(room.acquire_many(WINDOW as u32).await.unwrap());
        startup
    });
    println!("{} {}", cpu_seconds("self"), startup.as_secs_f64());
}

/// Consumes and says its CPU.
pub(crate) fn consumer(said: &[String]) {
    let (url, keys, count, _) = arguments(said);
    runtime().block_on(async {
        let js = jetstream::new(connect(&url, &keys).await);
        let stream = js.get_stream(STREAM).await.expect("a stream");
        let config = jetstream::consumer::pull::Config {
            ack_policy: jetstream::consumer::AckPolicy::None,
            ..Default::default()
        };
        let consumer = stream.create_consumer(config).await.expect("a consumer");
        let mut messages =
            consumer.stream().max_messages_per_batch(1_000).messages().await.expect("messages");
        for _ in 0..count {
            messages.next().await.expect("a message").expect("a message");
        }
    });
    println!("{} 0", cpu_seconds("self"));
}

/// The end-to-end latency of single messages at `rate` a second, in µs, sorted.
pub(crate) fn latencies(url: &str, keys: &str, rate: u64, count: usize, bytes: usize) -> Vec<f64> {
    runtime().block_on(async {
        let js = jetstream::new(connect(url, keys).await);
        js.delete_stream(STREAM).await.ok();
        let config = jetstream::stream::Config {
            name: STREAM.to_owned(),
            subjects: vec![SUBJECT.to_owned()],
            storage: jetstream::stream::StorageType::File,
            ..Default::default()
        };
        let stream = js.create_stream(config).await.expect("a stream");
        let config = jetstream::consumer::pull::Config {
            ack_policy: jetstream::consumer::AckPolicy::None,
            ..Default::default()
        };
        let consumer = stream.create_consumer(config).await.expect("a consumer");
        let mut messages = consumer.messages().await.expect("messages");
        let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / rate));
        let mut latencies = Vec::with_capacity(count);
        let payload = bytes::Bytes::from(vec![b'x'; bytes]);
        for _ in 0..count {
            tick.tick().await;
            let sent = Instant::now();
            js.publish(SUBJECT, payload.clone()).await.expect("published");
            messages.next().await.expect("a message").expect("a message");
            latencies.push(sent.elapsed().as_secs_f64() * 1e6);
        }
        latencies.sort_by(f64::total_cmp);
        latencies
    })
}
