//! Damage in the middle of a log: found, named, and never read over.

use tieline_core::Seq;
use tieline_core::log::Head;

use super::{Home, commit, group};
use crate::block::Key;
use crate::{Damage, Fault, LogReader, Mismatch};

/// Six blocks: seq 1 to 2, 3 to 4, a large group 5 to 6 in three parts, 7 to 8.
fn six_blocks() -> Home {
    let home = Home::new();
    let mut log = home.open();
    for seed in 0..4 {
        let lens = if seed == 2 { [300, 18_000] } else { [300, 300] };
        commit(&mut log, &[group(seed, &lens)]);
    }
    log.close().unwrap();
    home
}

/// Does something to the blocks and says what verifying finds: the range, the part, the fault.
fn damaged(change: impl FnOnce(&sled::Db)) -> (Home, u64, u64, u16, Fault) {
    let home = six_blocks();
    let blocks = home.sled();
    assert_eq!(blocks.len(), 6);
    change(&blocks);
    blocks.flush().unwrap();
    drop(blocks);
    let reader = LogReader::open(&home.config).unwrap();
    let report = reader.verify(|_| ());
    let Some(Damage::Block(error)) = report.damage else { panic!("{report:?}") };
    assert_eq!(report.head.seq.0 + 1, error.broken.first.0, "what lies before is right");
    assert!(error.to_string().contains(&home.config.dir.display().to_string()), "{error}");

    // Reading stops at the same place with the same words.
    let read = reader.read_from(Seq(1), usize::MAX).unwrap_err();
    assert_eq!(read.to_string(), error.to_string());
    let mut cursor = reader.cursor(Seq(1));
    let stopped = loop {
        match cursor.next_groups() {
            Ok(groups) => assert!(groups.is_some(), "read over the damage"),
            Err(stopped) => break stopped,
        }
    };
    assert_eq!((stopped.to_string(), cursor.next_seq()), (error.to_string(), error.broken.first));
    assert!(cursor.next_groups().is_err(), "it does not go on behind the damage");
    let broken = error.broken;
    (home, broken.first.0, broken.last.0, broken.part, broken.fault)
}

fn key(first: u64, part: u16) -> impl AsRef<[u8]> {
    Key { first: Seq(first), part }.bytes()
}

/// Changes one byte of a block.
fn flip(blocks: &sled::Db, at: impl AsRef<[u8]>, byte: usize) {
    let mut value = blocks.get(&at).unwrap().unwrap().to_vec();
    value[byte] ^= 1;
    blocks.insert(&at, value).unwrap();
}

#[test]
fn a_whole_log_is_right() {
    let home = six_blocks();
    let reader = LogReader::open(&home.config).unwrap();
    let mut seen = Vec::new();
    let report = reader.verify(|seq| seen.push(seq.0));
    assert!(report.damage.is_none(), "{report}");
    assert_eq!((report.blocks, report.groups, report.events, report.head), (6, 4, 8, reader.head()));
    assert_eq!(seen, [2, 4, 6, 8]);
    assert_ne!(report.head, Head::START);
}

#[test]
fn a_missing_block_is_named() {
    let (_, first, last, part, fault) = damaged(|blocks| drop(blocks.remove(key(3, 0)).unwrap()));
    assert_eq!((first, last, part), (3, 4, 0));
    assert!(matches!(fault, Fault::Missing), "{fault}");
}

#[test]
fn a_missing_part_is_named() {
    for missing in [1, 2] {
        let (_, first, last, part, fault) = damaged(|blocks| drop(blocks.remove(key(5, missing)).unwrap()));
        assert_eq!((first, last, part), (5, 6, missing));
        assert!(matches!(fault, Fault::Missing), "{fault}");
    }
}

#[test]
fn a_changed_byte_is_named_wherever_it_is() {
    // Count, size, time, hash, content; the codec and the flags are refused as such.
    for byte in [2, 6, 10, 18, 49, 50, 100] {
        let (_, first, _, part, fault) = damaged(|blocks| flip(blocks, key(3, 0), byte));
        assert_eq!((first, part), (3, 0), "byte {byte}");
        assert!(matches!(fault, Fault::BadHash { .. }), "byte {byte}: {fault}");
    }
    for byte in [0, 1] {
        let (_, first, _, _, fault) = damaged(|blocks| flip(blocks, key(3, 0), byte));
        assert_eq!(first, 3, "byte {byte}");
        assert!(matches!(fault, Fault::Undecodable(_) | Fault::BadHash { .. }), "byte {byte}: {fault}");
    }
    let (_, first, last, part, fault) = damaged(|blocks| flip(blocks, key(5, 1), 60));
    assert_eq!((first, last, part), (5, 6, 1));
    assert!(matches!(fault, Fault::BadHash { .. }), "{fault}");
}

#[test]
fn a_block_of_another_place_is_named() {
    let (_, first, last, _, fault) = damaged(|blocks| {
        let other = blocks.get(key(3, 0)).unwrap().unwrap();
        blocks.insert(key(1, 0), other).unwrap();
    });
    assert_eq!((first, last), (1, 2));
    assert!(matches!(fault, Fault::BadHash { .. }), "{fault}");
}

#[test]
fn what_is_not_a_block_is_named() {
    let (_, first, _, _, fault) = damaged(|blocks| drop(blocks.insert(key(3, 0), b"short").unwrap()));
    assert_eq!(first, 3);
    assert!(matches!(fault, Fault::Undecodable(_)), "{fault}");
    let (_, first, _, _, fault) = damaged(|blocks| drop(blocks.insert(b"\0\0\0\0\0\0\0\x03x", b"").unwrap()));
    assert_eq!(first, 5, "a key that is none lies behind seq 3");
    assert!(matches!(fault, Fault::Undecodable(_)), "{fault}");
}

#[test]
fn what_lies_before_and_behind_damage_can_still_be_read() {
    let (home, ..) = damaged(|blocks| flip(blocks, key(3, 0), 60));
    let reader = LogReader::open(&home.config).unwrap();
    assert_eq!(reader.event(Seq(2)).unwrap().unwrap().kind, 2);
    assert_eq!(reader.read_from(Seq(1), 0).unwrap().next_seq(), Seq(3));
    assert!(reader.event(Seq(4)).is_err());
    assert_eq!(reader.event(Seq(6)).unwrap().unwrap().body.len(), 18_000);
    assert_eq!(reader.read_from(Seq(5), usize::MAX).unwrap().next_seq(), Seq(9));

    let (home, ..) = damaged(|blocks| drop(blocks.remove(key(3, 0)).unwrap()));
    let reader = LogReader::open(&home.config).unwrap();
    for seq in [3, 4] {
        let broken = reader.event(Seq(seq)).unwrap_err().broken;
        assert_eq!((broken.first, broken.last), (Seq(seq), Seq(4)));
    }
}

#[test]
fn verifying_asks_the_sentinel() {
    let home = six_blocks();
    let blocks = home.sled();
    blocks.remove(key(7, 0)).unwrap();
    drop(blocks);
    let report = LogReader::open(&home.config).unwrap().verify(|_| ());
    let Some(Damage::Sentinel(Mismatch::Shorter { found, sentinel })) = &report.damage else {
        panic!("{report}")
    };
    assert_eq!((found.seq, sentinel.head.seq), (Seq(6), Seq(8)));
    assert!(report.to_string().contains("seq 8"), "{report}");

    let home = six_blocks();
    let other = Home::new();
    let mut log = other.open();
    for seed in 9..13 {
        commit(&mut log, &[group(seed, &[300, 300])]);
    }
    log.close().unwrap();
    std::fs::copy(other.path("sentinel"), home.path("sentinel")).unwrap();
    let report = LogReader::open(&home.config).unwrap().verify(|_| ());
    assert!(matches!(report.damage, Some(Damage::Sentinel(Mismatch::OtherHash { .. }))), "{report}");
    std::fs::remove_file(home.path("sentinel")).unwrap();
    let report = LogReader::open(&home.config).unwrap().verify(|_| ());
    assert!(matches!(report.damage, Some(Damage::Sentinel(Mismatch::NoSentinel { .. }))), "{report}");
}
