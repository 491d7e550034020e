//! Export and import: the same log on the other side, or nothing.

use std::fs;
use std::io;

use tieline_core::Incarnation;
use tieline_core::Seq;
use tieline_core::log::{Head, Log};

use super::{Home, LIFE, commit, events, group};
use crate::{ExportError, ImportError, Imported, LogReader, import, verify_export};

fn exported() -> (Home, Vec<u8>) {
    let home = Home::new();
    let mut log = home.open();
    commit(&mut log, &[group(1, &[300, 0]), group(2, &[30_000])]);
    commit(&mut log, &[group(3, &[300])]);
    let mut stream = Vec::new();
    assert_eq!(log.reader().export(&mut stream).unwrap(), log.head());
    log.close().unwrap();
    (home, stream)
}

#[test]
fn an_imported_log_is_the_same_log() {
    let (home, stream) = exported();
    let other = Home::new();
    let imported = import(&other.config, &stream[..]).unwrap();
    assert_eq!(verify_export(&stream[..]).unwrap(), imported);
    let (mut one, mut two) = (home.open(), other.open());
    assert_eq!(imported, Imported { head: one.head(), incarnation: LIFE });
    assert_eq!((two.head(), two.incarnation(), events(&two)), (one.head(), LIFE, events(&one)));
    assert!(two.reader().verify(|_| ()).damage.is_none());
    // Both go on alike.
    commit(&mut one, &[group(4, &[300])]);
    commit(&mut two, &[group(4, &[300])]);
    assert_eq!(one.head(), two.head());
    let mut again = Vec::new();
    two.reader().export(&mut again).unwrap();
    assert!(again.len() > stream.len());
}

#[test]
fn an_empty_log_can_be_moved_too() {
    let home = Home::new();
    let mut stream = Vec::new();
    home.open().reader().export(&mut stream).unwrap();
    let other = Home::new();
    assert_eq!(
        import(&other.config, &stream[..]).unwrap(),
        Imported { head: Head::START, incarnation: LIFE }
    );
    assert_eq!(commit(&mut other.open(), &[group(1, &[300])]), Seq(1));
}

#[test]
fn a_stream_that_is_cut_off_or_damaged_leaves_nothing() {
    let (_home, stream) = exported();
    let refused = |stream: &[u8]| {
        let other = Home::new();
        let error = import(&other.config, stream).expect_err("a damaged export");
        let verified = verify_export(stream).expect_err("a damaged export");
        assert_eq!(verified.to_string(), error.to_string());
        assert!(!other.config.dir.exists());
        assert!(!other.config.dir.with_added_extension("importing").exists());
        error
    };
    for len in [0, 10, 29, 30, 31, 40, 500, stream.len() / 2, stream.len() - 41, stream.len() - 1] {
        let error = refused(&stream[..len]);
        assert!(
            matches!(&error, ImportError::Read { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof),
            "{len}: {error:?}"
        );
    }
    for at in [0, 5] {
        let mut other = stream.clone();
        other[at] ^= 1;
        assert!(matches!(refused(&other), ImportError::NotAnExport), "changed byte {at}");
    }
    for at in [40, 45, 60, 100, stream.len() / 2] {
        let mut other = stream.clone();
        other[at] ^= 1;
        assert!(matches!(refused(&other), ImportError::Broken(_)), "changed byte {at}");
    }
    for at in [stream.len() - 40, stream.len() - 1] {
        let mut other = stream.clone();
        other[at] ^= 1;
        assert!(matches!(refused(&other), ImportError::OtherHead { .. }), "changed byte {at}");
    }
}

#[test]
fn nothing_is_imported_over_a_log() {
    let (home, stream) = exported();
    let error = import(&home.config, &stream[..]).unwrap_err();
    assert!(matches!(&error, ImportError::NotEmpty(dir) if *dir == home.config.dir), "{error:?}");
    assert_eq!(home.open().head().seq, Seq(4));

    // What a killed import left is no log and does not stand in the way.
    let other = Home::new();
    let beside = other.config.dir.with_added_extension("importing");
    fs::create_dir_all(beside.join("blocks")).unwrap();
    fs::write(beside.join("blocks/db"), b"half").unwrap();
    import(&other.config, &stream[..]).unwrap();
    assert_eq!(other.open().head().seq, Seq(4));
}

#[test]
fn a_broken_log_is_not_exported() {
    let (home, _) = exported();
    let blocks = home.sled();
    blocks.remove(crate::block::Key { first: Seq(3), part: 2 }.bytes()).unwrap();
    drop(blocks);
    let reader = LogReader::open(&home.config).unwrap();
    let error = reader.export(io::sink()).unwrap_err();
    assert!(matches!(&error, ExportError::Read(read) if read.broken.first == Seq(3)), "{error:?}");
    fs::remove_file(home.path("sentinel")).unwrap();
    assert!(matches!(reader.export(io::sink()), Err(ExportError::Sentinel { .. })));
}

#[test]
fn a_restored_log_begins_another_life() {
    let (_home, stream) = exported();
    let other = Home::new();
    import(&other.config, &stream[..]).unwrap();
    let mut log = other.open();
    log.begin_incarnation(Incarnation(LIFE.0 + 1)).unwrap();
    drop(log);
    assert_eq!(other.open().incarnation(), Incarnation(LIFE.0 + 1));
}
