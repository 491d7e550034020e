//! Whatever is appended comes back the same, in whatever sizes, batches and runs.

use std::fs;

use proptest::prelude::*;
use tieline_core::log::{Group, GroupRefused, Head, Log};
use tieline_core::{Seq, Timestamp};

use super::{Home, commit, events, group, noise};
use crate::block::BLOCK_BYTES_MAX;
use crate::{Config, LogError};

/// An event: kind, length of its body, and whether it compresses.
type Shape = (u16, usize, bool);

fn shapes() -> impl Strategy<Value = Shape> {
    let len = prop_oneof![8 => 0..600_usize, 3 => 600..9_000_usize, 1 => 9_000..200_000_usize];
    (any::<u16>(), len, any::<bool>())
}

fn encode(time: i64, shapes: &[Shape]) -> Group {
    let mut group = Group::new(Timestamp(time));
    for &(kind, len, compresses) in shapes {
        let body = if compresses { vec![kind as u8; len] } else { noise(len as u64 ^ time as u64, len) };
        group.push(kind, &body);
    }
    group
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Runs of batches of groups of events.
    #[test]
    fn a_log_gives_back_what_it_was_given(
        runs in prop::collection::vec(
            prop::collection::vec(
                prop::collection::vec((any::<i64>(), prop::collection::vec(shapes(), 1..6)), 1..12),
                1..4,
            ),
            1..3,
        ),
    ) {
        let home = Home::new();
        let mut expected = Vec::new();
        let mut head = Head::START;
        for run in &runs {
            let mut log = home.open();
            prop_assert_eq!(log.head(), head);
            for batch in run {
                let groups: Vec<_> = batch.iter().map(|(time, shapes)| encode(*time, shapes)).collect();
                for group in &groups {
                    let next = Seq(expected.len() as u64 + 1);
                    let owned = |e: tieline_core::log::StoredEvent<'_>| {
                        (e.seq.0, e.time.0, e.kind, e.body.to_vec(), e.last_in_group)
                    };
                    expected.extend(group.events(next).map(owned));
                }
                prop_assert_eq!(commit(&mut log, &groups), Seq(expected.len() as u64));
            }
            prop_assert!(events(&log) == expected);
            head = log.head();
        }
        let log = home.open();
        prop_assert!(events(&log) == expected);
        let report = log.reader().verify(|_| ());
        prop_assert!(report.damage.is_none(), "{report}");
        prop_assert_eq!(report.head, head);
        prop_assert_eq!(fs::read_dir(home.path("blocks/blobs")).unwrap().count(), 0);
    }
}

#[test]
fn no_value_reaches_the_blob_files() {
    let home = Home::new();
    let mut log = home.open();
    for seed in 0..4 {
        commit(&mut log, &[group(seed, &[1 << 20]), group(seed + 10, &[100, 200_000, 9_000, 16_000])]);
        // Full blocks, many to a page.
        let full: Vec<_> = (0..200).map(|n| group(seed * 1000 + n, &[BLOCK_BYTES_MAX - 150])).collect();
        commit(&mut log, &full);
    }
    // An unfinished group is deleted at open, and its page grows again.
    log.close().unwrap();
    let mut log = home.open();
    for seed in 50..60 {
        commit(&mut log, &[group(seed, &[150_000])]);
    }
    let reader = log.reader();
    log.close().unwrap();
    let largest = reader.shared.blocks.iter().map(|entry| entry.unwrap().1.len()).max();
    assert!(
        largest.is_some_and(|bytes| bytes > BLOCK_BYTES_MAX - 100 && bytes <= BLOCK_BYTES_MAX),
        "{largest:?}"
    );
    assert_eq!(fs::read_dir(home.path("blocks/blobs")).unwrap().count(), 0);

    // The same directory does fill when values are larger: the test can fail.
    for n in 0..40_u64 {
        reader.shared.blocks.insert(u64::MAX.wrapping_sub(n).to_be_bytes(), noise(n, 20_000)).unwrap();
    }
    reader.shared.blocks.flush().unwrap();
    assert_ne!(fs::read_dir(home.path("blocks/blobs")).unwrap().count(), 0);
}

#[test]
fn a_batch_ends_a_block_and_a_quiet_org_writes_small_ones() {
    let home = Home::new();
    let mut log = home.open();
    let blocks = |log: &crate::SledLog| log.reader().verify(|_| ()).blocks;
    commit(&mut log, &[group(1, &[30]), group(2, &[30]), group(3, &[30])]);
    assert_eq!(blocks(&log), 1);
    commit(&mut log, &[group(4, &[30])]);
    commit(&mut log, &[group(5, &[30])]);
    assert_eq!(blocks(&log), 3);
    assert_eq!(log.append(&[]).unwrap(), Seq(5));
}

#[test]
fn a_batch_with_a_refused_group_is_refused_whole() {
    let home = Home::new();
    let mut log = home.open();
    let error = log.append(&[group(1, &[30]), Group::new(Timestamp(2))]).unwrap_err();
    assert!(matches!(error, LogError::Refused(GroupRefused::Empty)), "{error:?}");
    let large = group(1, &[Group::BYTES_MAX]);
    let error = log.append(&[group(1, &[30]), large]).unwrap_err();
    assert!(matches!(error, LogError::Refused(GroupRefused::TooLarge { .. })), "{error:?}");
    assert_eq!(commit(&mut log, &[group(1, &[30])]), Seq(1));
}

#[test]
fn the_usual_figures_keep_a_reserve() {
    let config = Config::new("log");
    assert!(config.free_bytes_min >= 64 << 20);
    assert!((32 << 20..=64 << 20).contains(&config.cache_bytes));
    assert!((500..=5_000).contains(&config.flush_every_ms));
    assert!(config.sentinel_every_ms <= 100);
}
