//! Files of records that were changed by chance: each is read or refused, and does no harm.

use std::io::Cursor;
use std::path::Path;

use super::{Content, Records, csv, json, tree};
use crate::mutate::{corpus, drive};

fn inputs(name: &str) -> Vec<Vec<u8>> {
    corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus"), name)
}

/// Reads all of a file, as far as it goes, and writes each record as it is written for a person.
fn read(records: crate::error::Result<impl Records>) {
    let Ok(mut records) = records else { return };
    let columns = records.columns().to_vec();
    while let Ok(Some(mut item)) = records.next() {
        tree::take_attributes(&mut item);
        let cells = item.content.to_cells(&columns);
        assert!(cells.len() >= columns.len() || matches!(item.content, Content::Cells(_)));
    }
}

#[test]
fn csv_files_that_were_changed_do_no_harm() {
    drive("csv", &inputs("csv"), |bytes| {
        for delimiter in [b',', b';', b'\t'] {
            read(csv::Rows::new(Cursor::new(bytes.to_vec()), delimiter, "fuzz"));
        }
    });
}

#[test]
fn json_files_that_were_changed_do_no_harm() {
    drive("json", &inputs("json"), |bytes| read(json::Objects::new(bytes.to_vec(), "fuzz")));
}

#[test]
fn plans_that_were_changed_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plan.json");
    drive("plan", &[inputs("json"), inputs("plan")].concat(), |bytes| {
        std::fs::write(&file, bytes).unwrap();
        drop(tree::read_plan(&file));
    });
}
