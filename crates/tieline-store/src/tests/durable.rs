//! What durable means: flush, then a real sync, then the watermark; and no second try.

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io;
use std::process::Command;

use tieline_core::log::{Head, Log};
use tieline_core::{Incarnation, Seq};

use super::{Home, LIFE, commit, group, kill};
use crate::sentinel::Sentinel;
use crate::{LogError, LogReader, OpenError, SledLog};

thread_local! {
    static READER: RefCell<Option<LogReader>> = const { RefCell::new(None) };
    /// What a sync has seen: whether the newest block was in the file, and the durable seq.
    static SEEN: RefCell<Vec<(bool, Seq)>> = const { RefCell::new(Vec::new()) };
    static FAILING: Cell<bool> = const { Cell::new(false) };
    static SYNCS: Cell<u32> = const { Cell::new(0) };
}

/// Looks into the file that is being synced for the last block in sled.
fn watching(file: &File) -> io::Result<()> {
    READER.with_borrow(|reader| {
        if let Some(LogReader { shared }) = reader {
            let (_, value) = shared.blocks.last().unwrap().unwrap();
            let written = fs::read(shared.place.db()).unwrap();
            let there = written.windows(value.len()).any(|bytes| bytes == &value[..]);
            SEEN.with_borrow_mut(|seen| seen.push((there, shared.durable().seq)));
        }
    });
    file.sync_data()
}

#[test]
fn a_sync_follows_the_flush_and_comes_before_the_watermark() {
    let home = Home::new();
    let mut log = SledLog::open_with(&home.config, LIFE, watching).unwrap();
    READER.set(Some(log.reader()));
    log.append(&[group(1, &[300])]).unwrap();
    assert!(SEEN.take().is_empty(), "append alone syncs nothing");
    assert_eq!((log.head(), log.read_from(Seq(1), 1).unwrap().is_empty()), (Head::START, true));
    log.flush().unwrap();
    assert_eq!(SEEN.take(), [(true, Seq(0))]);
    assert_eq!(log.head().seq, Seq(1));

    log.append(&[group(2, &[300]), group(3, &[20_000])]).unwrap();
    log.flush().unwrap();
    assert_eq!(SEEN.take(), [(true, Seq(1))]);
    log.flush().unwrap();
    assert!(SEEN.take().is_empty(), "nothing new needs no sync");
    READER.set(None);
}

fn failing(file: &File) -> io::Result<()> {
    SYNCS.set(SYNCS.get() + 1);
    if FAILING.get() { Err(io::Error::from_raw_os_error(5)) } else { file.sync_data() }
}

#[test]
fn a_failed_sync_is_final_and_never_tried_again() {
    let home = Home::new();
    let mut log = SledLog::open_with(&home.config, LIFE, failing).unwrap();
    commit(&mut log, &[group(1, &[300])]);
    let durable = log.head();
    log.append(&[group(2, &[300])]).unwrap();
    FAILING.set(true);
    SYNCS.set(0);
    let error = log.flush().unwrap_err();
    assert!(matches!(error, LogError::Sync(_)) && error.is_fatal(), "{error:?}");
    assert!(error.to_string().contains("blocks/db"), "{error}");

    // The disk answers again, and the log does not ask.
    FAILING.set(false);
    let again = [
        log.flush().unwrap_err(),
        log.append(&[group(3, &[300])]).unwrap_err(),
        log.read_from(Seq(1), 1).unwrap_err(),
        log.rest().unwrap_err(),
        log.begin_incarnation(Incarnation(8)).unwrap_err(),
    ];
    assert!(again.iter().all(|again| again.to_string() == error.to_string()), "{again:?}");
    assert_eq!((SYNCS.get(), log.head(), log.reader().head()), (1, durable, durable));
    drop(log);
    assert_eq!(Sentinel::read(&home.path("sentinel")).unwrap().head, durable);
}

#[test]
fn a_log_that_cannot_be_synced_is_not_opened() {
    let home = Home::new();
    drop(home.open());
    FAILING.set(true);
    let opened = SledLog::open_with(&home.config, LIFE, failing);
    assert!(matches!(opened, Err(OpenError::File(_))), "{opened:?}");
    FAILING.set(false);
    assert!(SledLog::open_with(&home.config, LIFE, failing).is_ok());
}

#[test]
fn the_system_is_asked_to_sync_before_anyone_is_told() {
    if Command::new("strace").arg("-V").output().is_err() {
        // The order is tested above; this one looks at the system calls themselves.
        eprintln!("strace is not installed: the system calls were not looked at");
        return;
    }
    let home = Home::new();
    let trace = home.config.dir.with_extension("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-e", "trace=pwrite64,fsync,fdatasync,write", "-o"]).arg(&trace);
    let child = kill::Role::Once.run_under(strace, &home.config.dir).output().unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));

    let trace = fs::read_to_string(trace).unwrap();
    let told = trace.lines().position(|line| line.contains("write(") && line.contains("acked 1 "));
    let before: Vec<_> = trace.lines().take(told.expect("the child told its parent")).collect();
    let last =
        |call: &str| before.iter().rposition(|line| line.contains(call) && line.contains("blocks/db>"));
    let (written, synced) = (last("pwrite64("), last("fdatasync("));
    assert!(written.is_some() && synced > written, "written and not synced: {trace}");
    // What was made with the log: its files, their directory, its own, and the one above.
    let dir = home.config.dir.canonicalize().unwrap();
    for made in
        [dir.join("blocks/conf"), dir.join("blocks"), dir.clone(), dir.join("..").canonicalize().unwrap()]
    {
        let made = format!("{}>", made.display());
        assert!(
            before.iter().any(|line| line.contains("fsync(") && line.contains(&made)),
            "{made} in {trace}"
        );
    }
    let done = |line: &&str| line.contains("fdatasync") && line.trim_end().ends_with("= 0");
    assert!(
        before.iter().skip(synced.unwrap_or_default()).any(done),
        "told before the sync was done: {trace}"
    );
}

#[test]
fn the_sentinel_never_lags_behind_the_first_batch_and_catches_up_at_rest() {
    let mut home = Home::new();
    home.config.sentinel_every_ms = 3_600_000;
    let named = |home: &Home| Sentinel::read(&home.path("sentinel")).unwrap().head;
    let mut log = home.open();
    assert_eq!(named(&home), Head::START);
    commit(&mut log, &[group(1, &[300])]);
    assert_eq!(named(&home), log.head(), "zero means that nothing was ever acknowledged");
    commit(&mut log, &[group(2, &[300])]);
    assert_eq!(named(&home).seq, Seq(1), "not before the interval is over");
    log.rest().unwrap();
    assert_eq!(named(&home), log.head());
    commit(&mut log, &[group(3, &[300])]);
    let head = log.head();
    drop(log);
    assert_eq!(named(&home), head, "written at the end");

    home.config.sentinel_every_ms = 0;
    let mut log = home.open();
    let head = log.head();
    log.append(&[group(4, &[300])]).unwrap();
    assert_eq!(named(&home), head, "never ahead of what is durable");
    log.flush().unwrap();
    log.append(&[group(5, &[300])]).unwrap();
    assert_eq!(named(&home).seq, Seq(4), "under load it follows with the next batch");
}

#[test]
fn a_life_begins_durably_and_is_found_again() {
    let home = Home::new();
    let mut log = home.open();
    assert_eq!(log.incarnation(), LIFE);
    commit(&mut log, &[group(1, &[300])]);
    log.begin_incarnation(Incarnation(9)).unwrap();
    log.close().unwrap();
    assert_eq!(home.open().incarnation(), Incarnation(9));
}

#[test]
fn a_full_disk_refuses_the_batch_and_harms_nothing() {
    let mut home = Home::new();
    home.config.free_bytes_min = u64::MAX;
    let mut log = home.open();
    let error = log.append(&[group(1, &[300])]).unwrap_err();
    assert!(
        matches!(&error, LogError::NoSpace(no) if no.min_bytes == u64::MAX && no.free_bytes > 0),
        "{error:?}"
    );
    assert!(!error.is_fatal());
    log.flush().unwrap();
    assert_eq!(log.head(), Head::START);
    assert!(log.space().check().is_err());
    drop(log);
    home.config.free_bytes_min = 1;
    let mut log = home.open();
    assert_eq!(commit(&mut log, &[group(1, &[300])]), Seq(1));
}
