//! Metadata that was changed by chance: each file is translated or is a problem, and does no harm.

use std::path::{Path, PathBuf};

use tieline_core::schema::standard_objects;

use super::formula::{self, LeftOut};
use super::{translate, xml};
use crate::mutate::{corpus, drive};

fn inputs(name: &str) -> Vec<Vec<u8>> {
    corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus"), name)
}

/// A tree with one file, which the test writes anew for each input.
fn tree(name: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let object = dir.path().join("objects/Lead");
    std::fs::create_dir_all(object.join("fields")).unwrap();
    let file = object.join(name);
    (dir, file)
}

#[test]
fn documents_that_were_changed_do_no_harm() {
    drive("xml", &inputs("xml"), |bytes| drop(xml::parse(&String::from_utf8_lossy(bytes))));
}

#[test]
fn metadata_that_was_changed_does_no_harm() {
    let (dir, file) = tree("Lead.object-meta.xml");
    drive("metadata", &[inputs("xml"), inputs("metadata")].concat(), |bytes| {
        std::fs::write(&file, bytes).unwrap();
        drop(translate(&[dir.path().to_owned()]).map(|translated| translated.to_json()));
    });
}

#[test]
fn formulas_that_were_changed_do_no_harm() {
    let lead = standard_objects().into_iter().find(|object| object.name.as_str() == "Lead").unwrap();
    drive("formula", &inputs("formula"), |bytes| {
        drop(formula::translate(&String::from_utf8_lossy(bytes), &lead, &LeftOut::new()));
    });
}

#[test]
fn describes_that_were_changed_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("describe.json");
    drive("describe", &[inputs("json"), inputs("describe")].concat(), |bytes| {
        std::fs::write(&file, bytes).unwrap();
        drop(translate(std::slice::from_ref(&file)).map(|translated| translated.to_json()));
    });
}
