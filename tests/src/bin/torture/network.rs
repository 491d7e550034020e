//! The network of a life, between each org and the broker: proxies, or wires into a network namespace.

use std::fmt;
use std::thread;
use std::time::Duration;

use tieline_tests::nats::NatsServer;
use tieline_tests::proxy::{Proxy, Way};
use tieline_tests::wire::{Net, Weather};

/// What a slow link carries in a second.
const SLOW: u32 = 64 << 10;
/// How long a link that flaps is as it is.
const FLAP: Duration = Duration::from_millis(30);

/// What carries bytes or packets.
pub(crate) enum Network {
    /// A proxy for each org.
    Proxies([Proxy; 2]),
    /// A wire for each org, and the broker's URL over each.
    Wires(Net, Vec<String>),
}

/// What goes wrong between one org and the broker.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trouble {
    Partition,
    HalfOpen { both_ways: bool },
    Flapping { times: u64 },
    CutFrames { bytes: u64 },
    Slow,
    BadPackets,
}

impl Network {
    /// Starts a broker, behind the wires where there are some.
    pub(crate) fn before(broker: &mut NatsServer, wires: Option<Net>) -> Self {
        let urls = wires.as_ref().map(|net| net.house(broker));
        broker.restart().unwrap();
        match wires.zip(urls) {
            Some((net, urls)) => Self::Wires(net, urls),
            None => Self::Proxies([Proxy::before(&broker.url()), Proxy::before(&broker.url())]),
        }
    }

    /// Where each org finds the broker.
    pub(crate) fn urls(&self) -> Vec<String> {
        match self {
            Self::Proxies(proxies) => proxies.iter().map(Proxy::url).collect(),
            Self::Wires(_, urls) => urls.clone(),
        }
    }

    pub(crate) fn suffer(&self, at: usize, trouble: Trouble) {
        match self {
            Self::Proxies(proxies) => over_proxy(&proxies[at], trouble),
            Self::Wires(net, _) => over_wire(net, at, trouble),
        }
    }

    pub(crate) fn heal(&self, at: usize) {
        match self {
            Self::Proxies(proxies) => proxies[at].heal(),
            Self::Wires(net, _) => net.heal(at),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Proxies(_) => "proxies",
            Self::Wires(..) => "wires into a network namespace",
        })
    }
}

fn over_proxy(proxy: &Proxy, trouble: Trouble) {
    let slow = Way::Slow(u64::from(SLOW));
    match trouble {
        Trouble::Partition => proxy.partition(),
        Trouble::HalfOpen { both_ways: true } => proxy.ways(Way::Stalled, Way::Stalled),
        Trouble::HalfOpen { both_ways: false } => proxy.ways(Way::Open, Way::Stalled),
        Trouble::Slow => proxy.ways(slow, slow),
        Trouble::CutFrames { bytes } => proxy.cut_after(bytes),
        Trouble::Flapping { times } => (0..times).for_each(|_| {
            proxy.cut();
            thread::sleep(FLAP);
        }),
        Trouble::BadPackets => unreachable!("a proxy carries no packets, and is not asked to"),
    }
}

fn over_wire(net: &Net, at: usize, trouble: Trouble) {
    let slow = Weather { rate: Some(SLOW), ..Weather::GOOD };
    match trouble {
        Trouble::Partition => net.link(at, false),
        Trouble::HalfOpen { both_ways: true } => net.weather(at, Weather::SILENT, Weather::SILENT),
        Trouble::HalfOpen { both_ways: false } => net.weather(at, Weather::GOOD, Weather::SILENT),
        Trouble::Slow => net.weather(at, slow, slow),
        Trouble::BadPackets => net.weather(at, Weather::BAD, Weather::BAD),
        Trouble::Flapping { times } => (0..times).for_each(|_| {
            net.link(at, false);
            thread::sleep(FLAP);
            net.link(at, true);
            thread::sleep(FLAP);
        }),
        Trouble::CutFrames { .. } => unreachable!("a wire knows no frames, and is not asked to"),
    }
}
