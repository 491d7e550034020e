//! Disks that lose their power or stand still, below a daemon and below the broker.

use std::thread;
use std::time::Duration;

use tieline_tests::disk::Disk;
use tieline_tests::live::OrgHome;
use tieline_tests::loaded::{Loaded, Weight};
use tieline_tests::pair::Pair;
use tieline_tests::process::OrgProcess;
use tieline_tests::sim::Rng;

/// Size of a disk: room for a log and the reserve that it keeps free.
const DISK_MIB: u64 = 256;
/// How long a disk stands still: less than the daemon's patience, more than a client notices.
const HANG: Duration = Duration::from_secs(3);

#[test]
fn a_daemon_whose_disk_loses_its_power_keeps_all_that_it_acknowledged() {
    for (at_a, seed) in [(true, 0xa), (false, 0xb)] {
        let Some(mut disk) = Disk::ext4(DISK_MIB) else { return };
        let make = |name, on_disk: bool| {
            if on_disk {
                OrgProcess::of(OrgHome::make_in(name, &disk.path()))
            } else {
                OrgProcess::make(name)
            }
        };
        let pair = Pair::of(make("acme", at_a), make("globex", !at_a), |_| ());
        let url = pair.url();
        let mut loaded = Loaded::on(pair, Weight { pad: if at_a { 0 } else { 3_000 } });
        let mut rng = Rng::new(seed);
        for cut in 0..4 {
            let side = if at_a { &loaded.at_a } else { &loaded.at_b };
            side.wait_for(1 + rng.below(15));
            let mark = loaded.mark(at_a);
            disk.cut_power();
            org(&mut loaded, at_a).kill9();
            loaded.doubt_after(at_a, mark);
            disk.restore_power();
            if cut % 2 == 1 {
                // And once more while the log is opened.
                let moment = Duration::from_millis(rng.below(150));
                let org = org(&mut loaded, at_a);
                thread::scope(|scope| {
                    scope.spawn(|| {
                        thread::sleep(moment);
                        disk.cut_power();
                    });
                    // It starts, or it fails on its disk: it never takes the log for an empty one.
                    org.try_start(&url, &[]).ok();
                });
                org.kill9();
                loaded.doubt_after(at_a, mark);
                disk.restore_power();
            }
            org(&mut loaded, at_a).start(&url);
        }
        loaded.wait_for(3);
        loaded.finish();
    }
}

const fn org(loaded: &mut Loaded, at_a: bool) -> &mut OrgProcess {
    if at_a { &mut loaded.pair.a } else { &mut loaded.pair.b }
}

#[test]
fn a_broker_whose_disk_loses_its_power_costs_nothing() {
    let Some(mut disk) = Disk::ext4(DISK_MIB) else { return };
    let store = disk.path().join("store");
    let pair = Pair::of(OrgProcess::make("acme"), OrgProcess::make("globex"), |broker| {
        broker.plan.store_dir = store;
    });
    let mut loaded = Loaded::on(pair, Weight::default());
    for _ in 0..3 {
        loaded.wait_for(5);
        disk.cut_power();
        loaded.pair.broker.kill9();
        loaded.wait_for(2);
        disk.restore_power();
        loaded.pair.broker.restart().unwrap();
    }
    loaded.wait_for(3);
    loaded.finish();
}

#[test]
fn a_daemon_whose_disk_stands_still_acknowledges_nothing_and_goes_on_after_it() {
    let Some(disk) = Disk::ext4(DISK_MIB) else { return };
    let a = OrgProcess::of(OrgHome::make_in("acme", &disk.path()));
    let pair = Pair::of(a, OrgProcess::make("globex"), |_| ());
    let loaded = Loaded::on(pair, Weight::default());
    loaded.wait_for(5);
    let hang = disk.hang(HANG);
    let before = loaded.mark(true);
    thread::sleep(HANG / 2);
    let during = loaded.mark(true);
    // One round may have been durable already.
    assert!(during.rounds_after(before) <= 1, "{during:?} after {before:?} while the disk stood still");
    assert!(loaded.pair.a.api.get("/healthz").is_ok(), "the API answers what needs no disk");
    hang.wait();
    loaded.wait_for(5);
    loaded.finish();
}
