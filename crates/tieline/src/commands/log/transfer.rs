//! The whole log as one file: written while the daemon runs or without it, and read into an org that
//! has none. Both ends verify every block, and a file that is not whole is not kept.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use tieline_core::log::Head;
use tieline_daemon::{log_dir, snapshots_dir};
use tieline_store::{ImportError, Imported, verify_export};

use super::online_or;
use crate::client::path;
use crate::dirs;
use crate::error::{CliError, Kind, Result};
use crate::output::text;
use crate::session::{IMPORTED_FILE, Session};

/// Write the whole log to a file, while the daemon runs or without it.
///
/// The file ends with the last event that was durable when the export began. It holds everything
/// that the org knows: keep it as safe as the data directory.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The file, which must not be there yet; - is standard output
    file: PathBuf,
}

/// Read an exported log into a data directory that has none.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The exported log
    file: PathBuf,
}

impl Export {
    pub(super) fn run(self, session: &Session) -> Result<()> {
        let head = if self.file == Path::new("-") {
            export_into(session, &mut io::stdout().lock(), "standard output")?
        } else {
            export_to(session, &self.file)?
        };
        session.output.status(&format!("The log was exported up to {head}"));
        Ok(())
    }
}

/// Exports the log to a new file, durably; nothing is left of an export that fails.
pub(crate) fn export_to(session: &Session, file: &Path) -> Result<Head> {
    let mut out = BufWriter::new(dirs::create(file, dirs::PRIVATE)?);
    let exported = export_into(session, &mut out, &file.display().to_string()).and_then(|head| {
        out.flush().and_then(|()| out.get_ref().sync_all()).map_err(dirs::failed("write", file))?;
        Ok(head)
    });
    if exported.is_err() {
        // Half an export is of no use to anybody, and would be in the way of the next.
        fs::remove_file(file).ok();
    }
    exported
}

fn export_into(session: &Session, mut out: &mut dyn Write, name: &str) -> Result<Head> {
    let failed = |error: &dyn std::error::Error| {
        CliError::new(Kind::Internal, format!("The log was not exported to {name}")).caused_by(error)
    };
    // The daemon is asked first, and then written from: an export that broke off is not begun anew.
    let stream = online_or(
        session,
        || session.client()?.bytes(&path(["log", "export"]), &[]).map(Source::Daemon),
        |log| Ok(Source::Log(log.clone())),
    )?;
    match stream {
        Source::Log(log) => log.export(out).map_err(|error| failed(&error)),
        Source::Daemon(stream) => {
            let copied = Copied { from: stream, to: &mut out };
            let verified =
                verify_export(BufReader::with_capacity(1 << 16, copied)).map_err(|error| failed(&error))?;
            out.flush().map_err(|error| failed(&error))?;
            Ok(verified.head)
        }
    }
}

/// Where an export comes from.
enum Source<R> {
    Daemon(R),
    Log(tieline_store::LogReader),
}

/// Writes on what is read.
struct Copied<R, W> {
    from: R,
    to: W,
}

impl<R: Read, W: Write> Read for Copied<R, W> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(bytes)?;
        self.to.write_all(bytes.get(..read).unwrap_or_default())?;
        Ok(read)
    }
}

impl Import {
    pub(super) fn run(self, session: &Session) -> Result<()> {
        // The configuration and the keys of the org have to be there: a log alone cannot be served.
        let config = session.config()?;
        let dir = log_dir(&config.data_dir);
        refuse_full(&dir)?;
        // A snapshot of the state that another log came to would be taken for one of this log.
        remove_snapshots(&snapshots_dir(&config.data_dir))?;
        let imported = import_from(&self.file, &config.data_dir, config.store.min_free_bytes)?;
        show(session, &imported)
    }
}

/// Reads an exported log into the data directory `data`, and leaves the mark that makes the next
/// start begin a new life of the org.
pub(crate) fn import_from(file: &Path, data: &Path, free_bytes_min: u64) -> Result<Imported> {
    let input =
        File::open(file).map_err(|error| crate::import::unreadable(&file.display().to_string(), &error))?;
    let mut store = tieline_store::Config::new(log_dir(data));
    store.free_bytes_min = free_bytes_min;
    let input = BufReader::with_capacity(1 << 16, input);
    let imported = tieline_store::import(&store, input).map_err(|error| {
        let kind = match error {
            ImportError::NotAnExport
            | ImportError::Read { .. }
            | ImportError::Broken(_)
            | ImportError::OtherHead { .. } => Kind::Refused,
            _ => Kind::Internal,
        };
        CliError::from_error(kind, &error)
    })?;
    let mark = data.join(IMPORTED_FILE);
    fs::write(&mark, format!("{}\n", imported.head)).map_err(|error| {
        CliError::new(
            Kind::Internal,
            format!("The log was imported, but {} cannot be written", mark.display()),
        )
        .caused_by(&error)
        .hint("Start the daemon with tieline serve --recover, so that it begins a new life of the org")
    })?;
    Ok(imported)
}

/// Shows what was imported, and what to do with it.
pub(crate) fn show(session: &Session, imported: &Imported) -> Result<()> {
    let answer = json!({
        "seq": imported.head.seq, "hash": imported.head.hash.to_string(), "incarnation": imported.incarnation,
    });
    session.output.show(&answer, |output| {
        output.facts(&[text("Imported up to", "/seq"), text("Hash", "/hash")], &answer)?;
        output.hint(
            "tieline serve begins a new life of the org with this log; its partners then compare everything",
        );
        Ok(())
    })
}

fn refuse_full(dir: &Path) -> Result<()> {
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(CliError::new(Kind::Conflict, format!("There is a log in {} already", dir.display()))
            .hint("A log is never overwritten: move it away first, and keep it"));
    }
    Ok(())
}

fn remove_snapshots(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(dirs::failed("remove the snapshots in", dir)(error))
        }
        _ => Ok(()),
    }
}
