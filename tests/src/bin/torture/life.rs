//! One life: a pair, its load, and the faults that the seed draws.

use std::fmt;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use tieline_tests::crash::{self, Call, How};
use tieline_tests::disk::Disk;
use tieline_tests::live::{OrgHome, copy_dir};
use tieline_tests::loaded::{Lives, Loaded, Sums, Weight};
use tieline_tests::pair::{Pair, broker_for, until_ready};
use tieline_tests::process::OrgProcess;
use tieline_tests::sim::Rng;
use tieline_tests::wire::Net;

use crate::network::{Network, Trouble};

/// Size of a disk: room for a life, and the reserve that a daemon keeps free.
const DISK_MIB: u64 = 512;
/// Below this a daemon takes nothing.
const RESERVE: u64 = 16 << 20;

/// What this machine allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tools {
    disks: bool,
    strace: bool,
    wires: bool,
}

impl Tools {
    pub(crate) fn look() -> Self {
        Self {
            disks: Disk::ext4(32).is_some(),
            strace: crash::possible(),
            wires: Net::with_wires(1, 1).is_some(),
        }
    }
}

impl fmt::Display for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let can = |can: bool| if can { "yes" } else { "NO, left out" };
        writeln!(f, "power cuts, full and hanging disks: {}", can(self.disks))?;
        writeln!(f, "crashes and errors at named calls: {}", can(self.strace))?;
        write!(f, "network namespaces with packets that are lost: {}", can(self.wires))
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    KillDaemon,
    KillBoth,
    StopDaemon,
    KillAtCall,
    DiskError,
    KillBroker,
    WipeBroker,
    RollBackBroker,
    PowerOfDaemon,
    PowerOfBroker,
    FullDisk,
    HangingDisk,
    Partition,
    HalfOpen,
    Flapping,
    CutFrames,
    SlowLink,
    BadPackets,
    FreezeDaemon,
    FreezeBroker,
}

impl Fault {
    const ALL: [Self; 20] = [
        Self::KillDaemon,
        Self::KillBoth,
        Self::StopDaemon,
        Self::KillAtCall,
        Self::DiskError,
        Self::KillBroker,
        Self::WipeBroker,
        Self::RollBackBroker,
        Self::PowerOfDaemon,
        Self::PowerOfBroker,
        Self::FullDisk,
        Self::HangingDisk,
        Self::Partition,
        Self::HalfOpen,
        Self::Flapping,
        Self::CutFrames,
        Self::SlowLink,
        Self::BadPackets,
        Self::FreezeDaemon,
        Self::FreezeBroker,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::KillDaemon => "daemons killed",
            Self::KillBoth => "both daemons and the broker killed",
            Self::StopDaemon => "daemons stopped in order",
            Self::KillAtCall => "daemons killed at a named call",
            Self::DiskError => "errors of a daemon's disk",
            Self::KillBroker => "brokers killed",
            Self::WipeBroker => "brokers that lost their disk",
            Self::RollBackBroker => "brokers rolled back to an old copy",
            Self::PowerOfDaemon => "power cuts of a daemon's disk",
            Self::PowerOfBroker => "power cuts of the broker's disk",
            Self::FullDisk => "full disks of a daemon",
            Self::HangingDisk => "hanging disks of a daemon",
            Self::Partition => "partitions",
            Self::HalfOpen => "half-open connections",
            Self::Flapping => "flapping links",
            Self::CutFrames => "frames cut in the middle",
            Self::SlowLink => "slow links",
            Self::BadPackets => "packets lost, late, doubled and damaged",
            Self::FreezeDaemon => "daemons that stood still",
            Self::FreezeBroker => "brokers that stood still",
        }
    }

    const fn possible(self, tools: Tools, network: &Network) -> bool {
        match self {
            // One is what proxies do, and the other what wires do.
            Self::CutFrames => matches!(network, Network::Proxies(_)),
            Self::BadPackets => matches!(network, Network::Wires(..)),
            Self::PowerOfDaemon | Self::PowerOfBroker | Self::FullDisk | Self::HangingDisk => tools.disks,
            Self::KillAtCall | Self::DiskError => tools.strace,
            _ => true,
        }
    }
}

/// The disks of a life, where there are some: of each org, and of the broker.
struct Disks {
    orgs: [Option<Disk>; 2],
    broker: Option<Disk>,
}

struct Life {
    rng: Rng,
    loaded: Loaded,
    network: Network,
    disks: Disks,
}

/// Lives once; each fault is told as it comes.
pub(crate) fn live(seed: u64, faults: usize, tools: Tools, told: &Sender<&'static str>) -> Sums {
    let mut rng = Rng::new(seed);
    let disk = |wanted: bool| (wanted && tools.disks).then(|| Disk::ext4(DISK_MIB)).flatten();
    let disks = Disks { orgs: [disk(true), disk(true)], broker: disk(true) };
    let org = |name, disk: &Option<Disk>| match disk {
        Some(disk) => OrgProcess::of(OrgHome::make_in(name, &disk.path())),
        None => OrgProcess::make(name),
    };
    let (a, b) = (org("acme", &disks.orgs[0]), org("globex", &disks.orgs[1]));
    let mut broker = broker_for([&a.home, &b.home]);
    if let Some(disk) = &disks.broker {
        broker.plan.store_dir = disk.path().join("store");
    }
    let wires = (tools.wires && rng.chance(500)).then(|| Net::with_wires(2, seed)).flatten();
    let network = Network::before(&mut broker, wires);
    let urls = network.urls();
    let pair = Pair::over(broker, a, b, [&urls[0], &urls[1]]);
    let pad = [0, 0, 500, 5_000][rng.index(4)];
    let loaded = Loaded::on(pair, Weight { pad });
    println!("seed {seed}: values with {pad} bytes of noise, over {network}");
    let mut life = Life { rng, loaded, network, disks };
    for n in 0..faults {
        let possible: Vec<Fault> =
            Fault::ALL.into_iter().filter(|fault| fault.possible(tools, &life.network)).collect();
        let fault = *life.rng.pick(&possible).unwrap();
        let at = life.rng.index(2);
        println!("seed {seed} {n}: {} ({})", fault.name(), ["acme", "globex"][at]);
        told.send(fault.name()).ok();
        let more = life.rng.below(4);
        life.loaded.wait_for(1 + more);
        life.suffer(fault, at);
        // Progress on both sides, and readiness, or it is no heal.
        let Life { loaded, .. } = &life;
        until_ready(&loaded.pair.a.api);
        until_ready(&loaded.pair.b.api);
        loaded.wait_for(1);
    }
    let Life { loaded, network, disks, .. } = life;
    let sums = loaded.finish_with(Lives::One);
    drop((network, disks));
    sums
}

impl Life {
    fn org(&mut self, at: usize) -> &mut OrgProcess {
        if at == 0 { &mut self.loaded.pair.a } else { &mut self.loaded.pair.b }
    }

    fn start(&mut self, at: usize) {
        let url = self.network.urls()[at].clone();
        self.org(at).start(&url);
    }

    /// Lets the side that goes on write for a while.
    fn others(&mut self, at: usize) {
        let rounds = self.rng.below(4);
        (if at == 0 { &self.loaded.at_b } else { &self.loaded.at_a }).wait_for(rounds);
    }

    fn both(&mut self) {
        let rounds = 1 + self.rng.below(4);
        self.loaded.wait_for(rounds);
    }

    fn suffer(&mut self, fault: Fault, at: usize) {
        match fault {
            Fault::KillDaemon => {
                self.org(at).kill9();
                self.others(at);
                self.start(at);
            }
            Fault::KillBoth => {
                self.org(0).kill9();
                self.loaded.pair.broker.kill9();
                self.org(1).kill9();
                self.loaded.pair.broker.restart().unwrap();
                self.start(0);
                self.start(1);
            }
            Fault::StopDaemon => {
                self.org(at).stop();
                self.others(at);
                self.start(at);
            }
            Fault::KillAtCall => {
                let call = *self.rng.pick(&Call::ALL).unwrap();
                let latest = match call {
                    Call::Rename => 2,
                    Call::Sentinel => 20,
                    _ => 80,
                };
                let nth = 1 + self.rng.below(latest);
                self.die_at(at, call, nth, How::Kill);
            }
            Fault::DiskError => {
                let call = *self.rng.pick(&[Call::Write, Call::Sync]).unwrap();
                let error = *self.rng.pick(&["EIO", "ENOSPC"]).unwrap();
                let nth = 1 + self.rng.below(40);
                self.die_at(at, call, nth, How::Fail(error));
            }
            Fault::KillBroker | Fault::WipeBroker | Fault::RollBackBroker => self.broker(fault),
            Fault::PowerOfDaemon => self.power(at),
            Fault::PowerOfBroker => {
                let Some(disk) = self.disks.broker.as_mut() else { return };
                disk.cut_power();
                self.loaded.pair.broker.kill9();
                disk.restore_power();
                self.loaded.pair.broker.restart().unwrap();
            }
            Fault::FullDisk => {
                let Some(disk) = self.disks.orgs[at].as_ref() else { return };
                disk.fill(RESERVE / 2);
                let rounds = self.rng.below(4);
                (if at == 0 { &self.loaded.at_b } else { &self.loaded.at_a }).wait_for(rounds);
                disk.free();
            }
            Fault::HangingDisk => {
                let how_long = Duration::from_millis(500 + self.rng.below(3_000));
                if let Some(disk) = self.disks.orgs[at].as_ref() {
                    disk.hang(how_long).wait();
                }
            }
            Fault::Partition => self.trouble(at, Trouble::Partition),
            Fault::HalfOpen => {
                let both_ways = self.rng.chance(500);
                self.trouble(at, Trouble::HalfOpen { both_ways });
            }
            Fault::Flapping => {
                let times = 1 + self.rng.below(4);
                self.trouble(at, Trouble::Flapping { times });
            }
            Fault::CutFrames => {
                let bytes = self.rng.below(40_000);
                self.trouble(at, Trouble::CutFrames { bytes });
            }
            Fault::SlowLink => self.trouble(at, Trouble::Slow),
            Fault::BadPackets => self.trouble(at, Trouble::BadPackets),
            Fault::FreezeDaemon => {
                self.org(at).freeze();
                self.others(at);
                thread::sleep(Duration::from_millis(self.rng.below(4_000)));
                self.org(at).thaw();
            }
            Fault::FreezeBroker => {
                self.loaded.pair.broker.freeze().unwrap();
                self.both();
                thread::sleep(Duration::from_millis(self.rng.below(4_000)));
                self.loaded.pair.broker.thaw().unwrap();
            }
        }
    }

    fn die_at(&mut self, at: usize, call: Call, nth: u64, how: How) {
        let url = self.network.urls()[at].clone();
        let org = self.org(at);
        org.stop();
        crash::die_at(org, &url, call, nth, how);
    }

    fn broker(&mut self, fault: Fault) {
        let store = self.loaded.pair.broker.plan.store_dir.clone();
        let old = tempfile::tempdir().unwrap();
        if fault == Fault::RollBackBroker {
            self.loaded.pair.broker.kill9();
            copy_dir(&store, old.path());
            self.loaded.pair.broker.restart().unwrap();
            until_ready(&self.loaded.pair.a.api);
            until_ready(&self.loaded.pair.b.api);
            self.both();
        }
        self.loaded.pair.broker.kill9();
        self.both();
        if fault != Fault::KillBroker {
            self.loaded.pair.broker.wipe_storage().unwrap();
        }
        if fault == Fault::RollBackBroker {
            copy_dir(old.path(), &store);
        }
        self.loaded.pair.broker.restart().unwrap();
    }

    fn power(&mut self, at: usize) {
        let mark = self.loaded.mark(at == 0);
        let Some(disk) = self.disks.orgs[at].as_ref() else { return };
        disk.cut_power();
        self.org(at).kill9();
        self.loaded.doubt_after(at == 0, mark);
        if let Some(disk) = self.disks.orgs[at].as_mut() {
            disk.restore_power();
        }
        self.others(at);
        self.start(at);
    }

    fn trouble(&mut self, at: usize, trouble: Trouble) {
        self.network.suffer(at, trouble);
        self.both();
        self.network.heal(at);
    }
}
