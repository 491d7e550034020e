//! Opening: what is healed, and what is refused although sled would take it.

use std::fs::{self, File};

use tieline_core::log::{Head, Log};
use tieline_core::{Incarnation, Seq};

use super::{Home, commit, events, group, kill};
use crate::block::Key;
use crate::error::Mismatch;
use crate::open::delete_parts;
use crate::{Healed, LogReader, OpenError, SentinelError, SledLog};

fn mismatch(opened: Result<SledLog, OpenError>) -> Mismatch {
    match opened {
        Err(OpenError::Recovery(recovery)) => recovery.mismatch,
        other => panic!("not a case for recovery: {other:?}"),
    }
}

/// A log with some events that was opened twice, so that sled has written a snapshot.
fn grown() -> Home {
    let home = Home::new();
    commit(&mut home.open(), &[group(1, &[300, 300]), group(2, &[20_000])]);
    commit(&mut home.open(), &[group(3, &[300])]);
    home
}

#[test]
fn a_snapshot_that_sled_did_not_finish_is_removed() {
    let home = grown();
    let unfinished = home.path("blocks").join("snap.FFFFFFFFFFFFFFF0.generating");
    fs::write(&unfinished, b"half a snapshot").unwrap();
    // Left alone, sled takes it for a snapshot.
    let alone = home.copy();
    let opened = sled::open(alone.path("blocks"));
    assert!(matches!(opened, Err(sled::Error::Corruption { .. })), "{opened:?}");

    let log = home.open();
    assert_eq!(log.healed(), &Healed { removed: vec![unfinished], ..Healed::default() });
    assert_eq!(events(&log).len(), 4);
}

#[test]
fn a_corrupt_snapshot_is_set_aside_and_the_log_is_whole() {
    let home = grown();
    let names = fs::read_dir(home.path("blocks")).unwrap().map(|entry| entry.unwrap().path());
    let is_snapshot = |name: &str| name.starts_with("snap.");
    let snapshot =
        names.into_iter().find(|path| is_snapshot(path.file_name().unwrap().to_str().unwrap())).unwrap();
    let mut bytes = fs::read(&snapshot).unwrap();
    bytes[0] ^= 1;
    fs::write(&snapshot, &bytes).unwrap();

    let log = home.open();
    let aside = home.path("set-aside").join("1").join(snapshot.file_name().unwrap());
    assert_eq!(log.healed().set_aside, std::slice::from_ref(&aside));
    assert_eq!(fs::read(aside).unwrap(), bytes);
    assert_eq!(events(&log).len(), 4);
}

/// A log of 3 events whose sentinel says so, followed by a large group without its last part.
fn unfinished() -> Home {
    let mut home = grown();
    home.config.sentinel_every_ms = 3_600_000;
    let mut log = home.open();
    log.append(&[group(4, &[300, 30_000]), group(5, &[30_000])]).unwrap();
    drop(log);
    let blocks = home.sled();
    let keys: Vec<_> = blocks.range(Key::of(Seq(7)).bytes()..).keys().map(Result::unwrap).collect();
    assert!(keys.len() >= 4, "{keys:?}");
    blocks.remove(keys.last().unwrap()).unwrap();
    blocks.flush().unwrap();
    home
}

#[test]
fn an_unfinished_group_is_dropped_and_what_was_whole_is_kept() {
    let home = unfinished();
    let mut log = home.open();
    assert_eq!(log.healed().dropped, Some(Seq(7)));
    assert_eq!(log.head().seq, Seq(6));
    assert_eq!(commit(&mut log, &[group(6, &[300])]), Seq(7));
    assert_eq!(events(&log).len(), 7);
    assert!(log.reader().verify(|_| ()).damage.is_none());
    drop(log);
    assert_eq!(home.open().healed(), &Healed::default());
}

#[test]
fn the_drop_is_durable_before_the_log_is_handed_out() {
    let home = unfinished();
    // The child opens the log and is killed: what sled had only in memory is gone with it.
    kill::Role::Open.start(&home.config.dir).kill_after("opened");
    let left: Vec<_> = home.sled().range(Key::of(Seq(7)).bytes()..).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_unfinished_group_that_was_durable_is_damage() {
    let home = grown();
    let mut log = home.open();
    commit(&mut log, &[group(4, &[30_000])]);
    drop(log);
    let blocks = home.sled();
    let (last, _) = blocks.last().unwrap().unwrap();
    blocks.remove(&last).unwrap();
    let count = blocks.len();
    drop(blocks);
    let Mismatch::Shorter { found, sentinel } = mismatch(home.try_open()) else { panic!("not shorter") };
    assert_eq!((found.seq, sentinel.head.seq), (Seq(4), Seq(5)));
    assert_eq!(home.sled().len(), count, "nothing is deleted from a log that needs recovery");
}

#[test]
fn what_lies_behind_the_sentinel_must_hang_together() {
    let home = grown();
    let sentinel = fs::read(home.path("sentinel")).unwrap();
    let mut log = home.open();
    for seed in 5..8 {
        commit(&mut log, &[group(seed, &[300])]);
    }
    drop(log);
    // The sentinel lags, as after a kill under load. That alone is no reason to refuse the log.
    fs::write(home.path("sentinel"), &sentinel).unwrap();
    assert_eq!(home.copy().open().head().seq, Seq(7));
    let lost = Key::of(Seq(6));
    let blocks = home.sled();
    assert!(blocks.remove(lost.bytes()).unwrap().is_some());
    drop(blocks);
    let broken = mismatch(home.try_open());
    assert!(matches!(&broken, Mismatch::Broken(broken) if broken.first == lost.first), "{broken}");
}

#[test]
fn an_unfinished_group_is_deleted_from_its_end() {
    let home = unfinished();
    let blocks = home.sled();
    let mut removed = blocks.watch_prefix(Key::of(Seq(7)).bytes());
    delete_parts(&blocks, Seq(7)).unwrap();
    drop(blocks);
    let removed: Vec<_> = removed.by_ref().map(|event| event.key().to_vec()).collect();
    // Whatever a crash leaves of it is again a group without its end.
    assert!(removed.len() >= 3 && removed.is_sorted_by(|one, next| one > next), "{removed:?}");
}

#[test]
fn a_log_that_lost_its_tail_is_never_an_empty_one() {
    let home = Home::new();
    let mut log = home.open();
    for seed in 0..40 {
        commit(&mut log, &[group(seed, &[300_000])]);
    }
    let head = log.head();
    log.close().unwrap();
    // As after a power cut under a sled that was only flushed: no snapshot, and a shorter file.
    let whole = fs::metadata(home.path("blocks/db")).unwrap().len();
    for cut in [whole, 10 << 20, 1 << 20, 100 << 10, 4 << 10] {
        let home = home.copy();
        let file = File::options().write(true).open(home.path("blocks/db")).unwrap();
        file.set_len(whole - cut).unwrap();
        match home.try_open() {
            // The file is padded: the last bytes may have been no data.
            Ok(log) => assert_eq!(log.head(), head, "cut by {cut} bytes"),
            Err(OpenError::Recovery(recovery)) => {
                let text = recovery.to_string();
                assert!(text.contains("needs recovery") && text.contains("seq 40"), "{text}");
            }
            Err(OpenError::Sled { .. } | OpenError::Panicked { .. }) => {}
            Err(error) => panic!("cut by {cut} bytes: {error}"),
        }
    }
    // The worst case of all, in which sled itself says that all is well.
    let home = home.copy();
    File::options().write(true).open(home.path("blocks/db")).unwrap().set_len(0).unwrap();
    let Mismatch::Shorter { found, sentinel } = mismatch(home.try_open()) else { panic!("not shorter") };
    assert_eq!((found, sentinel.head), (Head::START, head));
}

#[test]
fn a_log_that_contradicts_its_sentinel_is_refused() {
    let home = grown();
    let without = |name: &str| {
        let home = home.copy();
        fs::remove_dir_all(home.path(name)).or_else(|_| fs::remove_file(home.path(name))).unwrap();
        mismatch(home.try_open())
    };
    assert!(
        matches!(without("blocks"), Mismatch::Shorter { found: Head::START, sentinel } if sentinel.head.seq == Seq(4))
    );
    let gone = without("sentinel");
    assert!(
        matches!(&gone, Mismatch::NoSentinel { found, why: SentinelError::Gone } if found.seq == Seq(4)),
        "{gone:?}"
    );

    let other = home.copy();
    fs::write(other.path("sentinel"), b"tieline sentinel 1\n").unwrap();
    assert!(matches!(
        mismatch(other.try_open()),
        Mismatch::NoSentinel { why: SentinelError::Unreadable(_), .. }
    ));

    // Another log of the same length in its place.
    let other = home.copy();
    let stranger = Home::new();
    commit(&mut stranger.open(), &[group(9, &[300, 300]), group(8, &[20_000])]);
    commit(&mut stranger.open(), &[group(7, &[300])]);
    fs::copy(stranger.path("sentinel"), other.path("sentinel")).unwrap();
    let Mismatch::OtherHash { found, sentinel } = mismatch(other.try_open()) else { panic!("not another") };
    assert_eq!((found.seq, sentinel.head.seq), (Seq(4), Seq(4)));
    assert_ne!(found.hash, sentinel.head.hash);
}

#[test]
fn recovery_takes_the_log_as_it_is_under_a_later_incarnation() {
    let home = grown();
    let old = home.copy();
    commit(&mut home.open(), &[group(4, &[300])]);
    fs::copy(home.path("sentinel"), old.path("sentinel")).unwrap();
    assert!(matches!(mismatch(old.try_open()), Mismatch::Shorter { .. }));

    let refused = SledLog::recover(&old.config, super::LIFE);
    assert!(matches!(refused, Err(OpenError::OldIncarnation { .. })), "{refused:?}");
    let mut log = SledLog::recover(&old.config, Incarnation(8)).unwrap();
    assert_eq!((log.head().seq, log.incarnation()), (Seq(4), Incarnation(8)));
    commit(&mut log, &[group(5, &[300])]);
    drop(log);
    let log = old.open();
    assert_eq!((log.head().seq, log.incarnation()), (Seq(5), Incarnation(8)));
}

#[test]
fn a_broken_log_cannot_be_recovered_as_it_is() {
    let home = grown();
    let blocks = home.sled();
    blocks.remove(Key::of(Seq(3)).bytes()).unwrap();
    drop(blocks);
    let refused = mismatch(SledLog::recover(&home.config, Incarnation(8)));
    assert!(matches!(refused, Mismatch::Broken(broken) if broken.first == Seq(3)));
}

#[test]
fn a_log_is_opened_once() {
    let home = Home::new();
    let mut log = home.open();
    commit(&mut log, &[group(1, &[300])]);
    let second = home.try_open().unwrap_err();
    assert!(matches!(second, OpenError::Locked { .. }), "{second:?}");
    assert!(second.to_string().contains("open already"), "{second}");
    assert!(matches!(LogReader::open(&home.config), Err(OpenError::Locked { .. })));
    // A reader keeps it open, too.
    let reader = log.reader();
    drop(log);
    assert!(matches!(home.try_open(), Err(OpenError::Locked { .. })));
    drop(reader);
    assert_eq!(home.open().head().seq, Seq(1));
}

#[test]
fn reading_a_directory_without_a_log_makes_none() {
    let home = Home::new();
    let error = LogReader::open(&home.config).unwrap_err();
    assert!(matches!(error, OpenError::NoLog { .. }), "{error:?}");
    assert!(!home.config.dir.exists());
}
