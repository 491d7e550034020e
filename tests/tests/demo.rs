//! The demo as people run it: the whole story through the public command line, each step checked.

// A test ends where something is not as it has to be.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use tieline_tests::process::binary;

#[test]
fn the_story_is_as_told() {
    let home = tempfile::tempdir().unwrap();
    let told = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/demo.sh"))
        .env("ONCE", "1")
        .env("TIELINE_BIN", binary())
        .env("TIELINE_DEMO_DIR", home.path().join("demo"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&told.stdout);
    assert!(told.status.success(), "{text}\n{}", String::from_utf8_lossy(&told.stderr));
    assert!(text.contains("all of it was as told"), "{text}");
}
