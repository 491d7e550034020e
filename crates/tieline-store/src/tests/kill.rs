//! kill -9 under load: no acknowledged group is lost, and the log goes on.
//!
//! The process that is killed is this test binary again, with the one test [`child`].

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tieline_core::Seq;
use tieline_core::log::{Group, Log};

use super::{Home, LIFE, group, noise};
use crate::{Config, SledLog};

/// What a child does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    /// Opens the log and waits.
    Open,
    /// Makes one batch durable and ends.
    Once,
    /// Makes batch after batch durable.
    Load,
}

const ROLE: &str = "TIELINE_STORE_TEST_ROLE";
const DIR: &str = "TIELINE_STORE_TEST_DIR";

impl Role {
    /// The command that runs a child, behind `before` (a tracer, or nothing).
    pub(super) fn run_under(self, mut before: Command, dir: &Path) -> Command {
        before.arg(env::current_exe().unwrap());
        self.set_up(before, dir)
    }

    fn set_up(self, mut command: Command, dir: &Path) -> Command {
        command.args(["tests::kill::child", "--exact", "--ignored", "--nocapture"]);
        command.env(ROLE, format!("{self:?}")).env(DIR, dir);
        command
    }

    pub(super) fn start(self, dir: &Path) -> Running {
        let mut command = self.set_up(Command::new(env::current_exe().unwrap()), dir);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Running { child, lines }
    }
}

/// A child that runs; killed with the test, should that fail.
pub(super) struct Running {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Running {
    /// The next line that begins with `word`.
    fn next(&mut self, word: &str) -> Option<String> {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            if let Some(at) = line.find(word) {
                return Some(line.split_off(at));
            }
            line.clear();
        }
        None
    }

    /// Waits for a line and kills the child, as hard as it goes.
    pub(super) fn kill_after(mut self, word: &str) {
        assert!(self.next(word).is_some(), "the child has not said {word:?}");
        self.kill();
    }

    /// Kills the child and waits until it is gone. What it has said can still be read.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail if it is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
#[ignore = "it is the child process of other tests"]
fn child() {
    let config = Config { free_bytes_min: 0, ..Config::new(env::var_os(DIR).unwrap()) };
    let mut log = SledLog::open(&config, LIFE).unwrap();
    let say = |text: String| {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}").and_then(|()| out.flush()).unwrap();
    };
    match env::var(ROLE).unwrap().as_str() {
        "Open" => {
            say("opened".to_owned());
            io::stdin().read_line(&mut String::new()).unwrap();
        }
        "Once" => {
            let last = super::commit(&mut log, &[group(1, &[300])]);
            say(format!("acked {last} "));
        }
        // More than any test waits for, and little enough should nobody be left to end it.
        _ => (0..2_000).for_each(|_| {
            let next = log.head().seq.next();
            let batch: Vec<Group> = (0..5).scan(next, |next, n| Some(numbered(next, n))).collect();
            log.append(&batch).unwrap();
            log.flush().unwrap();
            say(format!("acked {} ", log.head().seq));
        }),
    }
}

/// A group whose bodies follow from the seqs of its events; each fourth one is large.
fn numbered(next: &mut Seq, n: u64) -> Group {
    let mut group = Group::new(tieline_core::Timestamp(next.0 as i64));
    for _ in 0..=n {
        group.push(1, &body(*next));
        *next = next.next();
    }
    group
}

fn body(seq: Seq) -> Vec<u8> {
    noise(seq.0, if seq.0.is_multiple_of(40) { 40_000 } else { 300 })
}

#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let home = Home::new();
    let mut acked = 0;
    for round in 1..=8 {
        let mut child = Role::Load.start(&home.config.dir);
        // Killed a little later each time: at open, in a batch, between batches.
        for _ in 0..round * round {
            let line = child.next("acked ").expect("the child runs");
            acked = line.split(' ').nth(1).unwrap().parse::<u64>().unwrap();
        }
        child.kill();
        // What was still in the pipe was acknowledged, too.
        while let Some(line) = child.next("acked ") {
            if line.ends_with(" \n") {
                acked = line.split(' ').nth(1).unwrap().parse().unwrap();
            }
        }

        let log = home.open();
        assert!(log.head().seq.0 >= acked, "round {round}: {} of {acked}", log.head().seq);
        let report = log.reader().verify(|_| ());
        assert!(report.damage.is_none(), "round {round}: {report}");
        let groups = log.read_from(Seq(1), usize::MAX).unwrap();
        for event in groups.events() {
            assert_eq!(event.body, body(event.seq), "round {round}: seq {}", event.seq);
        }
        assert_eq!(groups.next_seq(), log.head().seq.next());
    }
}
