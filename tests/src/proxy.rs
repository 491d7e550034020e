//! A proxy for TCP between an org and the broker, which does what networks do: cut a connection
//! anywhere, carry nothing, carry one way only, be slow.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How often a pump that waits looks whether it still has to.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How many bytes are carried at once; few, so that a cut falls within a frame.
const CHUNK: usize = 4 << 10;

/// What the network does with bytes of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It carries them.
    Open,
    /// It carries nothing and breaks nothing off: only silence tells.
    Stalled,
    /// It carries so many bytes a second.
    Slow(u64),
}

#[derive(Debug, Clone, Copy)]
struct Rules {
    up: Way,
    down: Way,
    /// Connections that come are broken off at once.
    refuse: bool,
    /// A connection is broken off after so many more bytes to the org.
    cut_after: Option<u64>,
}

struct Shared {
    rules: Mutex<Rules>,
    changed: Condvar,
    /// Both ends of each connection.
    open: Mutex<BTreeMap<u64, (TcpStream, TcpStream)>>,
    carried: AtomicU64,
    accepted: AtomicU64,
    stop: Mutex<bool>,
}

/// A proxy in front of one address, on a port of its own on loopback.
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// Puts a proxy in front of `to`, which is written as a broker's URL.
    #[must_use]
    pub fn before(to: &str) -> Self {
        let to: SocketAddr = to.trim_start_matches("nats://").parse().expect("an address");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let rules = Rules { up: Way::Open, down: Way::Open, refuse: false, cut_after: None };
        let shared = Arc::new(Shared {
            rules: Mutex::new(rules),
            changed: Condvar::new(),
            open: Mutex::default(),
            carried: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            stop: Mutex::new(false),
        });
        let accepting = shared.clone();
        thread::spawn(move || accept(&accepting, &listener, to));
        Self { shared, address }
    }

    /// Where the org connects.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Bytes that were carried, both ways.
    #[must_use]
    pub fn carried(&self) -> u64 {
        self.shared.carried.load(Ordering::Relaxed)
    }

    /// Connections that were taken so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    fn set(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut lock(&self.shared.rules));
        self.shared.changed.notify_all();
    }

    /// What is done with bytes to the broker and to the org from now on.
    pub fn ways(&self, up: Way, down: Way) {
        self.set(|rules| (rules.up, rules.down) = (up, down));
    }

    /// Breaks off every connection that is open.
    pub fn cut(&self) {
        for (_, (here, there)) in std::mem::take(&mut *lock(&self.shared.open)) {
            // Whoever has gone already is gone.
            here.shutdown(Shutdown::Both).ok();
            there.shutdown(Shutdown::Both).ok();
        }
    }

    /// Breaks off every connection and takes no other, as where no route is.
    pub fn partition(&self) {
        self.set(|rules| rules.refuse = true);
        self.cut();
    }

    /// Breaks the next connection off after so many bytes to the org, wherever in a frame that is.
    pub fn cut_after(&self, bytes: u64) {
        self.set(|rules| rules.cut_after = Some(bytes));
    }

    /// The network is as it should be.
    pub fn heal(&self) {
        self.set(|rules| *rules = Rules { up: Way::Open, down: Way::Open, refuse: false, cut_after: None });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        *lock(&self.shared.stop) = true;
        self.heal();
        self.cut();
        // The listener wakes up and sees that it is over.
        TcpStream::connect(self.address).ok();
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener, to: SocketAddr) {
    for number in 0.. {
        let Ok((here, _)) = listener.accept() else { return };
        if *lock(&shared.stop) {
            return;
        }
        if lock(&shared.rules).refuse {
            continue;
        }
        // Without a broker there is no connection either.
        let Ok(there) = TcpStream::connect(to) else { continue };
        shared.accepted.fetch_add(1, Ordering::Relaxed);
        let both = || Some((here.try_clone().ok()?, there.try_clone().ok()?));
        let (Some(kept), Some(up), Some(down)) = (both(), both(), both()) else { continue };
        for stream in [&here, &there] {
            stream.set_nodelay(true).ok();
        }
        lock(&shared.open).insert(number, kept);
        let pumps = [(up.0, up.1, true), (down.1, down.0, false)];
        for (from, into, upwards) in pumps {
            let shared = shared.clone();
            thread::spawn(move || {
                pump(&shared, from, into, upwards);
                if let Some((here, there)) = lock(&shared.open).remove(&number) {
                    here.shutdown(Shutdown::Both).ok();
                    there.shutdown(Shutdown::Both).ok();
                }
            });
        }
    }
}

/// Carries bytes one way until one of the ends is closed.
fn pump(shared: &Shared, mut from: TcpStream, mut into: TcpStream, upwards: bool) {
    let mut bytes = [0; CHUNK];
    loop {
        let Ok(read @ 1..) = from.read(&mut bytes) else { return };
        let Some((length, last)) = passage(shared, read, upwards) else { return };
        if into.write_all(bytes.get(..length).unwrap_or_default()).is_err() {
            return;
        }
        shared.carried.fetch_add(length as u64, Ordering::Relaxed);
        if last {
            return;
        }
    }
}

/// Waits until bytes may pass: how many of them, and whether they are the last. `None` if the proxy
/// is over.
fn passage(shared: &Shared, read: usize, upwards: bool) -> Option<(usize, bool)> {
    loop {
        let mut rules = lock(&shared.rules);
        match if upwards { rules.up } else { rules.down } {
            Way::Open => {}
            Way::Slow(per_second) => {
                drop(rules);
                thread::sleep(Duration::from_secs_f64(read as f64 / per_second.max(1) as f64));
                rules = lock(&shared.rules);
            }
            Way::Stalled => {
                if *lock(&shared.stop) {
                    return None;
                }
                // Whoever is cut off meanwhile is noticed when the bytes are written.
                drop(shared.changed.wait_timeout(rules, LOOK_EVERY));
                continue;
            }
        }
        let left = rules.cut_after.filter(|_| !upwards);
        let Some(left) = left else { return Some((read, false)) };
        let length = usize::try_from(left).unwrap_or(read).min(read);
        let last = left <= read as u64;
        rules.cut_after = (!last).then(|| left - read as u64);
        return Some((length, last));
    }
}
