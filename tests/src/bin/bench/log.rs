//! The log by itself: append, verified replay, and the rebuild of the state.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use tieline_core::log::{Group, Log};
use tieline_core::{Incarnation, Seq, Timestamp};
use tieline_store::{Config, SledLog};

use crate::Sizes;
use crate::report::Report;

const EVENTS: usize = 400_000;
const EVENT_BYTES: usize = 300;
const BATCH: usize = 1_000;

/// Appends, reads with verification, and the same naively: one sled entry for each event.
pub(crate) fn run(report: &mut Report, sizes: &Sizes) {
    for _ in 0..sizes.rounds.min(3) {
        ours(report);
        naive(report);
    }
    let naive = |figure| Some((figure, "sled entry per event"));
    report.line("log append, durable", "log append", "1/s", naive("sled append"), "");
    report.line("verified replay", "log replay", "1/s", None, "1,000,000/s");
    report.line("log on disk per byte of event", "log bytes", "", naive("sled bytes"), "under 0.6");
}

/// Bodies that look like changes: some text repeats, some does not.
fn body(i: usize) -> Vec<u8> {
    let hash = blake3::hash(&i.to_le_bytes()).to_hex();
    let mut body =
        format!("{{\"record\":\"{hash}\",\"City\":\"City {}\",\"Status\":\"Working\"}}", i % 97).into_bytes();
    body.resize(EVENT_BYTES, b' ');
    body
}

fn ours(report: &mut Report) {
    let dir = tempfile::tempdir().unwrap();
    let mut log = SledLog::open(&Config::new(dir.path()), Incarnation(1)).unwrap();
    let batches: Vec<Vec<Group>> = (0..EVENTS / BATCH)
        .map(|batch| {
            (0..BATCH)
                .map(|i| {
                    let mut group = Group::new(Timestamp(1));
                    group.push(30, &body(batch * BATCH + i));
                    group
                })
                .collect()
        })
        .collect();
    let begun = Instant::now();
    for batch in &batches {
        log.append(batch).unwrap();
        log.flush().unwrap();
    }
    report.sample("log append", EVENTS as f64 / begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let mut cursor = log.reader().cursor(Seq(1));
    let mut events = 0;
    while let Some(groups) = cursor.next_groups().unwrap() {
        events += groups.events().count();
    }
    assert_eq!(events, EVENTS);
    report.sample("log replay", EVENTS as f64 / begun.elapsed().as_secs_f64());
    drop(cursor);
    log.close().unwrap();
    report.sample("log bytes", disk(dir.path()) as f64 / (EVENTS * EVENT_BYTES) as f64);
}

/// The baseline: sled with one entry for each event, durable in the same batches.
fn naive(report: &mut Report) {
    let dir = tempfile::tempdir().unwrap();
    let db = sled::Config::new()
        .path(dir.path())
        .cache_capacity(32 << 20)
        .mode(sled::Mode::HighThroughput)
        .open()
        .unwrap();
    let file = std::fs::File::open(dir.path().join("db")).unwrap();
    let events = EVENTS / 4;
    let begun = Instant::now();
    for batch in 0..events / BATCH {
        for i in 0..BATCH {
            let seq = (batch * BATCH + i) as u64;
            db.insert(seq.to_be_bytes(), body(batch * BATCH + i)).unwrap();
        }
        db.flush().unwrap();
        file.sync_data().unwrap();
    }
    report.sample("sled append", events as f64 / begun.elapsed().as_secs_f64());
    drop(db);
    report.sample("sled bytes", disk(dir.path()) as f64 / (events * EVENT_BYTES) as f64);
}

/// Bytes on disk below `path`.
pub(crate) fn disk(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return path.metadata().map_or(0, |file| file.len()) };
    entries.flatten().map(|entry| disk(&entry.path())).sum()
}

/// The median time of one fdatasync of a few KiB on the disk of the logs, in µs.
pub(crate) fn fdatasync_us() -> f64 {
    let dir = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(dir.path().join("probe")).unwrap();
    let samples: Vec<f64> = (0..200)
        .map(|_| {
            file.write_all(&[7; 4096]).unwrap();
            let begun = Instant::now();
            file.sync_data().unwrap();
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    crate::report::median(&samples)
}
