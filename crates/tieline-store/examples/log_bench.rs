//! How fast the log is on this machine: durable appends in batches, verified decoding, and what a
//! byte of event costs on the disk.
//!
//! `cargo run --release -p tieline-store --example log_bench [EVENTS] [BATCH] [DIRECTORY]`

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use serde::Serialize;
use tieline_core::log::{Group, Log};
use tieline_core::{Incarnation, Seq, Timestamp};
use tieline_store::{BLOCK_BYTES_MAX, Config, SledLog};

/// An event of about 300 bytes, like a change of a record: names repeat, ids and values do not.
#[derive(Serialize)]
struct RecordChanged {
    record: [u64; 2],
    prev: u64,
    object: &'static str,
    fields: [(&'static str, String); 6],
    stamp: (i64, u64, u32),
    origin: u64,
    hops: u8,
}

impl RecordChanged {
    fn number(n: u64) -> Self {
        let spread = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            record: [spread, spread.rotate_left(29)],
            prev: n.saturating_sub(spread % 1000),
            object: "Lead",
            fields: [
                ("LastName", format!("Miller{}", spread % 10_000)),
                ("Company", format!("Universal Telco {}", spread % 500)),
                (
                    "Status",
                    ["Open", "Working", "Qualified", "Closed"][(spread >> 60) as usize % 4].to_owned(),
                ),
                ("Email", format!("m{:x}@example.org", spread >> 20)),
                ("AnnualRevenue", format!("{}.{:02}", spread % 1_000_000, spread % 97)),
                ("Description", format!("called on {}, will call again about offer {:x}", n % 31, spread)),
            ],
            stamp: (1_790_000_000_000_000 + n as i64 * 37, spread % 3, 0),
            origin: 0x1234_5678_9abc_def0,
            hops: 0,
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let events: u64 = args.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let batch: usize = args.next().map_or(Ok(1_000), |text| text.parse())?;
    let dir = match args.next() {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let config = Config::new(dir.path().join("log"));

    // Encoding is the writer's work, not the log's: it is done before the clock runs.
    let encode = |n: u64| -> Result<Group, rmp_serde::encode::Error> {
        let mut group = Group::new(Timestamp(1_790_000_000_000_000 + n as i64));
        group.push(1, &rmp_serde::to_vec_named(&RecordChanged::number(n))?);
        Ok(group)
    };
    let groups = (1..=events).map(encode).collect::<Result<Vec<_>, _>>()?;
    let bytes: u64 = groups.iter().map(|group| group.bytes().len() as u64).sum();
    println!("{events} events of {} bytes each, in batches of {batch}", bytes / events.max(1));

    let mut log = SledLog::open(&config, Incarnation(1))?;
    let begin = Instant::now();
    let mut slowest = 0.0_f64;
    for groups in groups.chunks(batch.max(1)) {
        let begin = Instant::now();
        log.append(groups)?;
        log.flush()?;
        slowest = slowest.max(begin.elapsed().as_secs_f64());
    }
    rate("append, durable", events, begin);
    println!("{:>24}: {:.1} ms", "slowest batch", slowest * 1e3);

    let begin = Instant::now();
    let mut cursor = log.reader().cursor(Seq(1));
    let mut seen = 0_u64;
    while let Some(groups) = cursor.next_groups()? {
        seen += groups.events().map(|event| black_box(event).body.len() as u64).sum::<u64>();
    }
    rate("read, verified", events, begin);
    println!("{:>24}: {seen}", "bytes of bodies");
    drop(cursor);

    let begin = Instant::now();
    let report = log.reader().verify(|_| ());
    rate("verify", events, begin);
    println!("{:>24}: {report}", "log");

    let begin = Instant::now();
    let steps = events.min(10_000);
    for n in 0..steps {
        let seq = Seq(n.wrapping_mul(7919) % events.max(1) + 1);
        black_box(log.reader().event(seq)?);
    }
    rate("single events", steps, begin);

    log.close()?;
    let disk = std::fs::metadata(config.dir.join("blocks/db"))?.len();
    println!("{:>24}: {:.0} % of {BLOCK_BYTES_MAX} bytes", "mean block", fill(report.blocks, &config)?);
    println!("{:>24}: {:.2} bytes per byte of event", "disk", disk as f64 / bytes as f64);

    let begin = Instant::now();
    let log = SledLog::open(&config, Incarnation(1))?;
    println!("{:>24}: {:.0} ms, {}", "open again", begin.elapsed().as_secs_f64() * 1e3, log.head());
    Ok(())
}

/// Mean fill of the blocks, from what an export of them takes.
fn fill(blocks: u64, config: &Config) -> Result<f64, Box<dyn Error>> {
    let mut stream = Vec::new();
    tieline_store::LogReader::open(config)?.export(&mut stream)?;
    Ok(stream.len() as f64 * 100.0 / (blocks.max(1) as f64 * BLOCK_BYTES_MAX as f64))
}

fn rate(what: &str, count: u64, begin: Instant) {
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{what:>24}: {:.0} events/s, {:.2} us each",
        count as f64 / seconds,
        seconds * 1e6 / count as f64
    );
}
