//! Disks that are full: below a daemon, with small and with large values, and below the broker.

use std::time::{Duration, Instant};

use serde_json::json;
use tieline_tests::disk::Disk;
use tieline_tests::live::OrgHome;
use tieline_tests::loaded::{Loaded, Weight};
use tieline_tests::pair::{Pair, until_ready};
use tieline_tests::process::OrgProcess;

/// Size of a daemon's disk: its reserve of 16 MiB, and more than the load of a fast machine writes,
/// so that the disk is full when the test fills it and at no other time.
const DISK_MIB: u64 = 512;
/// What a daemon keeps free.
const RESERVE: u64 = 16 << 20;
/// How soon a daemon has to take writes after there is room again.
const RECOVERED_WITHIN: Duration = Duration::from_secs(20);

#[test]
fn a_daemon_whose_disk_is_full_refuses_and_goes_on_by_itself_when_there_is_room() {
    for (at_a, pad) in [(true, 0), (false, 20_000)] {
        let Some(disk) = Disk::tmpfs(DISK_MIB) else { return };
        let make = |name, on_disk: bool| {
            if on_disk {
                OrgProcess::of(OrgHome::make_in(name, &disk.path()))
            } else {
                OrgProcess::make(name)
            }
        };
        let pair = Pair::of(make("acme", at_a), make("globex", !at_a), |_| ());
        let url = pair.url();
        let mut loaded = Loaded::on(pair, Weight { pad });
        for _ in 0..2 {
            loaded.wait_for(3);
            disk.fill(RESERVE / 2);
            let full = &org(&mut loaded, at_a).api;
            full.until_answer("a full disk named", "/readyz", |answer| {
                let problem = answer.as_ref().err()?;
                problem.body["storage"]["cause"].as_str().map(drop)
            });
            let lead = json!({ "fields": { "LastName": "No", "Company": "room" } });
            let refused = full.send("POST", "/v1/records/Lead", &lead).unwrap_err();
            assert_eq!((refused.status, &refused.body["code"]), (507, &json!("no_space")), "{refused:?}");
            // The other goes on, and what it sends waits.
            (if at_a { &loaded.at_b } else { &loaded.at_a }).wait_for(2);
            disk.free();
            let freed = Instant::now();
            until_ready(&org(&mut loaded, at_a).api);
            loaded.wait_for(3);
            assert!(freed.elapsed() < RECOVERED_WITHIN, "{:?} after there was room", freed.elapsed());
        }
        // Without a byte left it refuses, or its log fails and it ends; then it is started again.
        disk.fill(0);
        (if at_a { &loaded.at_b } else { &loaded.at_a }).wait_for(2);
        disk.free();
        if let Some(ended) = org(&mut loaded, at_a).ends_within(Duration::from_secs(1)) {
            assert_eq!(ended.code, Some(70), "{}", ended.said);
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
fn a_broker_whose_disk_is_full_costs_nothing_once_there_is_room() {
    let Some(disk) = Disk::tmpfs(24) else { return };
    let store = disk.path().join("store");
    let pair = Pair::of(OrgProcess::make("acme"), OrgProcess::make("globex"), |broker| {
        broker.plan.store_dir = store;
    });
    let mut loaded = Loaded::on(pair, Weight { pad: 5_000 });
    loaded.wait_for(3);
    disk.fill(0);
    // Both take what people write, whatever the broker takes.
    loaded.wait_for(10);
    disk.free();
    // Servers of some versions need this after a full disk.
    loaded.pair.broker.kill9();
    loaded.pair.broker.restart().unwrap();
    loaded.wait_for(3);
    loaded.finish();
}
