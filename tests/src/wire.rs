//! Networks for tests: a network namespace with wires into it that lose, delay, double, damage and reorder
//! packets, carry one way only, or are down. The kernels at both ends are real, so is their TCP.
//!
//! A wire is a pair of TUN devices with a process between them (`tests/wire/wires.py`), since few kernels have
//! `netem`. Namespace and devices belong to that process: they are gone when it is, however a test ends.
//! Where root or `/dev/net/tun` is missing it says so loudly, and nothing is tried.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::nats::NatsServer;

/// Networks of four addresses from 198.18.0.0/15, which belongs to nobody: it is for tests of networks.
const NETWORKS: (u32, u32) = (0xc612_0000, 1 << 15);
/// How many addresses each has.
const ADDRESSES: u32 = 4;

/// What a wire does with the packets of one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Weather {
    /// Share of packets that are lost.
    pub lost: f64,
    /// Share of packets that come twice.
    pub doubled: f64,
    /// Share of packets with a bit that is not as it was.
    pub damaged: f64,
    /// Share of packets that are overtaken by others.
    pub late: f64,
    /// Seconds that a packet takes.
    pub delay: f64,
    /// Seconds that it takes longer, at most.
    pub jitter: f64,
    /// Bytes a second, where that is limited; what is too much is lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
}

impl Weather {
    /// Packets arrive as they were sent.
    pub const GOOD: Self =
        Self { lost: 0.0, doubled: 0.0, damaged: 0.0, late: 0.0, delay: 0.0, jitter: 0.0, rate: None };
    /// Nothing arrives, and nobody is told.
    pub const SILENT: Self = Self { lost: 1.0, ..Self::GOOD };
    /// Much of what can happen to a packet on a long way.
    pub const BAD: Self =
        Self { lost: 0.06, doubled: 0.05, damaged: 0.02, late: 0.1, delay: 0.01, jitter: 0.01, rate: None };
}

/// What was done with packets so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Done {
    /// Packets that arrived.
    pub carried: u64,
    /// Packets that did not.
    pub lost: u64,
    /// Packets that came twice.
    pub doubled: u64,
    /// Packets that were damaged.
    pub damaged: u64,
    /// Packets that were overtaken.
    pub late: u64,
}

#[derive(Deserialize)]
struct Devices {
    devices: Vec<String>,
}

struct Wire {
    device: String,
    /// The end in the namespace.
    there: Ipv4Addr,
}

/// A namespace and its wires.
pub struct Net {
    child: Child,
    orders: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    wires: Vec<Wire>,
}

impl Net {
    /// A namespace with so many wires, which all carry; the seed decides what happens to which packet.
    /// `None` where this cannot be had, which is said loudly.
    #[must_use]
    pub fn with_wires(count: usize, seed: u64) -> Option<Self> {
        // The standard library's only randomness: other tests lay wires at the same time.
        let first = RandomState::new().build_hasher().finish();
        let network = |n: u64| {
            let number = (first.wrapping_add(n) % u64::from(NETWORKS.1)) as u32;
            Ipv4Addr::from(NETWORKS.0 + number * ADDRESSES)
        };
        let networks: Vec<Ipv4Addr> = (0..count as u64).map(network).collect();
        let mut child = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("wire/wires.py"))
            .arg(seed.to_string())
            .args(networks.iter().map(ToString::to_string))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| skipped(&format!("python3: {error}")))
            .ok()?;
        let (to, from) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let mut from = BufReader::new(from);
        let mut line = String::new();
        from.read_line(&mut line).expect("a line");
        let Ok(Devices { devices }) = serde_json::from_str(&line) else {
            child.wait().expect("an end");
            skipped("it has said why");
            return None;
        };
        let there = networks.iter().map(|network| Ipv4Addr::from(u32::from(*network) + 2));
        let wires = devices.into_iter().zip(there).map(|(device, there)| Wire { device, there }).collect();
        Some(Self { child, orders: Mutex::new((to, from)), wires })
    }

    /// Puts a broker that does not run yet into the namespace, where it listens on every address: its URL
    /// over each wire.
    #[must_use]
    pub fn house(&self, broker: &mut NatsServer) -> Vec<String> {
        let port = broker.plan.listen.port();
        broker.plan.listen = format!("0.0.0.0:{port}").parse().expect("an address");
        broker.under = vec!["nsenter".to_owned(), format!("--net=/proc/{}/ns/net", self.child.id())];
        self.wires.iter().map(|wire| format!("nats://{}:{port}", wire.there)).collect()
    }

    /// What is done from now on with packets into the namespace, and with those out of it.
    pub fn weather(&self, wire: usize, into: Weather, out: Weather) {
        self.order(&serde_json::json!({ "wire": wire, "up": into, "down": out }));
    }

    /// Takes a wire down at this end, or up again: there is no route, and whoever sends is told.
    pub fn link(&self, wire: usize, up: bool) {
        let word = if up { "up" } else { "down" };
        let ran = Command::new("ip").args(["link", "set", "dev", &self.wires[wire].device, word]).status();
        assert!(ran.expect("ip").success(), "the link was not set {word}");
    }

    /// The wire is as it should be.
    pub fn heal(&self, wire: usize) {
        self.link(wire, true);
        self.weather(wire, Weather::GOOD, Weather::GOOD);
    }

    /// What was done so far.
    #[must_use]
    pub fn done(&self) -> Done {
        self.order(&serde_json::json!({}))
    }

    fn order(&self, order: &serde_json::Value) -> Done {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(orders.0, "{order}").expect("an order");
        let mut line = String::new();
        orders.1.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).expect("what was done")
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // It fails only if it has ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn skipped(why: &str) {
    eprintln!("\n*** SKIPPED, nothing was tested: no network namespace with wires can be had here ({why})");
}
