//! Every decoder with its corpus and some thousand mutations of it. `make fuzz` tries more of them.

use super::mutate::{corpus, drive};
use super::{TARGETS, corpus_dir};

fn fuzz(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    // As much stack as the thread has that a daemon reads its state on: without optimization, and with all
    // that a state holds by now, decoding one takes more than the two MiB of a test's own.
    let deep = std::thread::Builder::new().stack_size(STACK_BYTES);
    let driven = deep.spawn(|| drive(target.name, &(target.inputs)(), target.decode)).unwrap();
    if let Err(cause) = driven.join() {
        std::panic::resume_unwind(cause);
    }
}

const STACK_BYTES: usize = 8 << 20;

/// One test for each target, so that they run beside each other and one that fails hides no other.
macro_rules! targets {
    ($($name:ident,)*) => {
        $(#[test] fn $name() { fuzz(stringify!($name)); })*

        #[test]
        fn every_target_is_tried() {
            let mut names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            names.push("config");
            assert_eq!(names, [$(stringify!($name),)* "config"]);
        }
    };
}

targets! { frame, header, body, message, event, groups, state, object, expression, url, values, }

/// A configuration is read from a file.
#[test]
fn config() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tieline.toml");
    let inputs = corpus(&corpus_dir(), "config");
    drive("config", &inputs, |bytes| {
        std::fs::write(&file, bytes).unwrap();
        drop(tieline_daemon::config::Config::from_file(&file));
    });
}

/// A decoder that fails is told apart from one that does not.
#[test]
fn a_decoder_that_panics_or_hangs_is_noticed() {
    let inputs = [b"abc".to_vec()];
    let noticed = std::panic::catch_unwind(|| {
        drive("sabotage", &inputs, |bytes| assert!(!bytes.contains(&0xdd), "as wanted"));
    });
    assert!(noticed.is_err());
}
