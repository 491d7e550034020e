//! Reading: from any seq, bounded, resumable, while another thread writes.

use std::thread;

use tieline_core::Seq;
use tieline_core::log::{Group, Log};

use super::{Home, commit, events, group};
use crate::LogReader;

/// Twenty batches of groups of one to three events, some of them large.
fn written(log: &mut impl Log<Error: std::fmt::Debug>) {
    for batch in 0..20_u64 {
        let size = |n: u64| if (batch + n).is_multiple_of(11) { 25_000 } else { 200 };
        let lens = |n: u64| (0..=n % 3).map(|at| size(n + at)).collect::<Vec<_>>();
        let groups: Vec<_> = (0..7).map(|n| group(batch * 10 + n, &lens(n))).collect();
        log.append(&groups).unwrap();
        log.flush().unwrap();
    }
}

#[test]
fn any_seq_can_be_read_from_with_any_bound() {
    let home = Home::new();
    let mut log = home.open();
    written(&mut log);
    let all = events(&log);
    let head = log.head().seq;
    let boundary = |seq: u64| seq == 1 || all[seq as usize - 2].4;
    for from in 0..=head.0 {
        for max_bytes in [0, 1000, 60_000] {
            let groups = log.read_from(Seq(from), max_bytes).unwrap();
            let first = groups.first_seq().0;
            assert!(first <= from.max(1) && boundary(first), "from {from}");
            assert!(
                all[first as usize - 1..from.max(1) as usize - 1].iter().all(|event| !event.4),
                "from {from}"
            );
            assert!(groups.next_seq().0 > from && boundary(groups.next_seq().0), "from {from}");
            for event in groups.events() {
                assert_eq!(event.body, all[event.seq.0 as usize - 1].3);
            }
        }
        let event = log.reader().event(Seq(from)).unwrap();
        assert_eq!(
            event.map(|event| event.body),
            all.get(from.wrapping_sub(1) as usize).map(|event| event.3.clone())
        );
    }
    let beyond = log.read_from(Seq(head.0 + 5), 1).unwrap();
    assert!(beyond.is_empty() && beyond.next_seq() == Seq(head.0 + 5));
}

#[test]
fn memory_and_disk_give_the_same_answers() {
    let home = Home::new();
    let (mut disk, mut memory) = (home.open(), tieline_core::log::MemLog::new());
    written(&mut disk);
    written(&mut memory);
    assert_eq!(disk.head().seq, memory.head().seq);
    let (disk, memory) =
        (disk.read_from(Seq(1), usize::MAX).unwrap(), memory.read_from(Seq(1), usize::MAX).unwrap());
    assert!(disk.events().eq(memory.events()));
    assert!(disk.groups().eq(memory.groups()));
}

#[test]
fn a_cursor_reads_block_by_block_and_goes_on_when_more_is_durable() {
    let home = Home::new();
    let mut log = home.open();
    let mut cursor = log.reader().cursor(Seq(2));
    assert!(cursor.next_groups().unwrap().is_none());
    commit(&mut log, &[group(1, &[300])]);
    assert!(cursor.next_groups().unwrap().is_none());
    assert_eq!(cursor.next_seq(), Seq(2));
    log.append(&[group(2, &[300, 300]), group(3, &[30_000])]).unwrap();
    assert!(cursor.next_groups().unwrap().is_none(), "not durable yet");
    log.flush().unwrap();
    let seqs = |groups: Option<&tieline_core::log::Groups>| {
        groups.map(|groups| groups.events().map(|event| event.seq.0).collect::<Vec<_>>())
    };
    assert_eq!(seqs(cursor.next_groups().unwrap()), Some(vec![2, 3]));
    assert_eq!(seqs(cursor.next_groups().unwrap()), Some(vec![4]));
    assert_eq!(seqs(cursor.next_groups().unwrap()), None);
    commit(&mut log, &[group(4, &[300])]);
    assert_eq!(seqs(cursor.next_groups().unwrap()), Some(vec![5]));
    // In the middle of a group: from its beginning.
    assert_eq!(seqs(log.reader().cursor(Seq(3)).next_groups().unwrap()), Some(vec![2, 3]));
}

/// Reads to `last` and checks that each event comes once, in order, and that nothing comes early.
fn follow(reader: &LogReader, last: Seq) {
    let mut cursor = reader.cursor(Seq(1));
    let mut next = Seq(1);
    while next <= last {
        match cursor.next_groups().unwrap() {
            Some(groups) => {
                for event in groups.events() {
                    assert_eq!((event.seq, event.time.0 as u64), (next, next.0));
                    assert_eq!(event.body, super::noise(next.0 << 16, event.body.len()));
                    next = next.next();
                }
            }
            None => thread::yield_now(),
        }
        assert!(next.0 <= reader.head().seq.0 + 1);
    }
}

#[test]
fn readers_follow_the_writer_and_miss_nothing() {
    let home = Home::new();
    let mut log = home.open();
    let last = Seq(3_000);
    thread::scope(|scope| {
        for _ in 0..2 {
            let reader = log.reader();
            scope.spawn(move || follow(&reader, last));
        }
        let mut seed = 1;
        while seed <= last.0 {
            let batch: Vec<Group> = (seed..=last.0)
                .take(1 + seed as usize % 40)
                .map(|seed| group(seed, &[seed as usize % 900]))
                .collect();
            seed += batch.len() as u64;
            commit(&mut log, &batch);
        }
    });
    assert_eq!(log.head().seq, last);
}
