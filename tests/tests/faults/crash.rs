//! Crashes and errors at each kind of call that a crash can be seen at: before a block is written,
//! before it is synced, before a file takes its place, before a frame, a receipt or an answer leaves,
//! and after something came that nothing was done about yet.

use tieline_tests::crash::{Call, Death, How, die_at, possible};
use tieline_tests::loaded::Loaded;
use tieline_tests::process::OrgProcess;
use tieline_tests::sim::Rng;

/// The exit code of a daemon whose log failed.
const LOG_FAILED: i32 = 70;

/// How late a call may be counted: far enough to lie within the load, near enough to come. A daemon without
/// snapshots renames one file, as it starts.
const fn latest(call: Call) -> u64 {
    match call {
        Call::Rename => 1,
        Call::Sentinel => 16,
        Call::Sync => 40,
        Call::Write => 60,
        Call::Send | Call::Receive => 150,
    }
}

fn within_load(call: Call, rng: &mut Rng) -> u64 {
    let half = latest(call).div_ceil(2);
    half + rng.below(half)
}

fn org(loaded: &mut Loaded, at_a: bool) -> &mut OrgProcess {
    if at_a { &mut loaded.pair.a } else { &mut loaded.pair.b }
}

#[test]
fn a_daemon_that_is_killed_at_any_call_loses_nothing_and_repeats_nothing() {
    if !possible() {
        return;
    }
    let mut loaded = Loaded::start();
    let url = loaded.pair.url();
    let mut rng = Rng::new(0xc4a5);
    let mut killed = 0;
    for at_a in [true, false] {
        for call in Call::ALL {
            // Once early, while the daemon starts, and once within the load.
            for nth in [1 + rng.below(3), within_load(call, &mut rng)] {
                let nth = nth.min(latest(call));
                let org = org(&mut loaded, at_a);
                killed += usize::from(die_at(org, &url, call, nth, How::Kill) == Death::Killed);
            }
        }
        loaded.wait_for(2);
    }
    assert!(killed >= 4 * Call::ALL.len() - 2, "only {killed} got to their calls");
    loaded.finish();
}

#[test]
fn a_daemon_whose_disk_fails_ends_at_once_and_keeps_what_it_acknowledged() {
    if !possible() {
        return;
    }
    let mut loaded = Loaded::start();
    let url = loaded.pair.url();
    let mut rng = Rng::new(0xe10);
    for (at_a, call, error) in [
        (true, Call::Sync, "EIO"),
        (false, Call::Sync, "EIO"),
        (true, Call::Write, "EIO"),
        (false, Call::Write, "ENOSPC"),
    ] {
        let nth = within_load(call, &mut rng);
        let org = org(&mut loaded, at_a);
        let death = die_at(org, &url, call, nth, How::Fail(error));
        assert_eq!(death, Death::Ended(LOG_FAILED), "{error} at {call:?} {nth}:\n{}", org.log());
        loaded.wait_for(2);
    }
    loaded.finish();
}
