//! Files in `schemas/` that are written from the code: tests compare, and write them when asked to.

use std::path::Path;

/// Compares `schemas/<file>` with what the code says. With `TIELINE_WRITE_SCHEMAS=1` it is written
/// instead.
pub(crate) fn assert_current(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas").join(file);
    if std::env::var_os("TIELINE_WRITE_SCHEMAS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "schemas/{file} is not what the code says; run the tests once with TIELINE_WRITE_SCHEMAS=1 and look at the change"
    );
}
