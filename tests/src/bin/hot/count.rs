//! Counting: one run under valgrind for each stage, and the comparison with what is written down.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use serde_json::{Map, Value as Json};

use crate::pair::CHANGES;
use crate::stages::STAGES;

/// How far a stage may be from what is written down, in per cent.
const TOLERANCE: u64 = 10;
/// Where it is written down.
const WRITTEN: &str = "instructions.json";

fn written() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(WRITTEN)
}

/// Instructions per change of every stage, or none where there is no valgrind.
fn count() -> Option<Map<String, Json>> {
    let version = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    if !version.is_ok_and(|status| status.success()) {
        eprintln!(
            "SKIPPED: the instructions of the hot stages were NOT COUNTED, because there is no valgrind \
             here; install it (apt-get install valgrind) and run this again"
        );
        return None;
    }
    let profile = profile();
    let counted = STAGES.iter().map(|(stage, _)| {
        let instructions = inclusive(&profile, &format!("hot::stages::{stage}")) / CHANGES as u64;
        assert!(instructions > 0, "valgrind did not see the stage {stage}: was it inlined?");
        ((*stage).to_owned(), Json::from(instructions))
    });
    Some(counted.collect())
}

/// The profile that callgrind writes of one run.
fn profile() -> String {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--dump-line=no"])
        .arg(format!("--callgrind-out-file={}", file.path().display()))
        .arg(std::env::current_exe().expect("this program"))
        .arg("run")
        .output()
        .expect("valgrind was there a moment ago");
    assert!(output.status.success(), "the run failed: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::read_to_string(file.path()).expect("a profile")
}

/// The instructions of all calls of a function, with what it calls. A function is written as
/// `fn=(7) name`, or `cfn=…` where it is called, and with its number alone from the second time on.
/// A call is its target, `calls=…`, and a line that ends with the cost.
fn inclusive(profile: &str, name: &str) -> u64 {
    let number = |line: &str| Some(line.split_once("fn=(")?.1.split_once(')')?.0.to_owned());
    let is_named = |line: &&str| line.split_once(") ").is_some_and(|(_, of)| of == name);
    let wanted = profile.lines().filter(is_named).find_map(number);
    let mut lines = profile.lines();
    let mut sum = 0;
    while let Some(line) = lines.next() {
        if line.starts_with("cfn=") && number(line) == wanted {
            let cost = lines.find(|line| line.starts_with("calls=")).and_then(|_| lines.next());
            sum += cost.and_then(|cost| cost.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or_default();
        }
    }
    sum
}

/// Counts and writes down.
pub(crate) fn write() -> ExitCode {
    let Some(counted) = count() else { return ExitCode::FAILURE };
    print(&counted, &read());
    let text = serde_json::to_string_pretty(&counted).expect("JSON") + "\n";
    std::fs::write(written(), text).expect("a file that can be written");
    println!("written to {}", written().display());
    ExitCode::SUCCESS
}

/// Counts and compares with what is written down.
pub(crate) fn check() -> ExitCode {
    let Some(counted) = count() else { return ExitCode::SUCCESS };
    let known = read();
    print(&counted, &known);
    let off: Vec<&str> = STAGES
        .iter()
        .map(|(stage, _)| *stage)
        .filter(|stage| is_off(of(&counted, stage), of(&known, stage)))
        .collect();
    if off.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "{} took {TOLERANCE} % more or less than tests/{WRITTEN} says: find out why (`hot run` under \
         `valgrind --tool=callgrind`); if it is meant, write it down with `make instructions WRITE=1`",
        off.join(", ")
    );
    ExitCode::FAILURE
}

fn read() -> Map<String, Json> {
    let text = std::fs::read_to_string(written()).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn of(counts: &Map<String, Json>, stage: &str) -> u64 {
    counts.get(stage).and_then(Json::as_u64).unwrap_or_default()
}

fn is_off(counted: u64, known: u64) -> bool {
    counted.abs_diff(known) * 100 > known * TOLERANCE
}

fn print(counted: &Map<String, Json>, known: &Map<String, Json>) {
    println!("{:10} {:>8} {:>8}", "stage", "counted", "written");
    for (stage, what) in STAGES {
        println!("{stage:10} {:>8} {:>8}  {what}", of(counted, stage), of(known, stage));
    }
    let total = |counts| STAGES.iter().map(|(stage, _)| of(counts, stage)).sum::<u64>();
    println!("{:10} {:>8} {:>8}  instructions per change", "total", total(counted), total(known));
}
