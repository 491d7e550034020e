//! Pages of the documentation as scripts: what a page tells a reader to run is run.
//!
//! A page becomes a script of as many lines, so that a failure names the line of the page:
//!
//! - a block that begins with ```` ```sh run ```` is run, and so is what stands between a line `<!-- run`
//!   and a line `-->`, which readers do not see (waiting for the other side, mostly);
//! - in such blocks a line `# acme` means that what follows is said to that org (`TIELINE_DATA`), and
//!   `# exit code 8` behind a command that it ends so;
//! - a block whose first line is `# name.toml` (or another file with an ending) is written into that file;
//! - each address `127.0.0.1:PORT` is replaced by one with a free port.
//!
//! Everything else is left out. Blocks of a page share variables and the directory they run in.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::{Command, Output};

/// What comes before the first line of a page: where to begin, what a failure says, and `soon`, which
/// tries something again until it holds.
const PRELUDE: &str = r#"
set -euE -o pipefail
trap 'code=$?; echo "✗ $page:$LINENO: $BASH_COMMAND: exit code $code" >&2' ERR
trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
soon() {
    end=$((SECONDS + 30))
    until eval "$1" >/dev/null 2>&1; do
        if [ $SECONDS -ge $end ]; then echo "✗ $page: did not come true: $1" >&2; eval "$1" || true; return 1; fi
        sleep 0.05
    done
}
ended() { [ "$1" = "$2" ] || { echo "✗ exit code $2 instead of $1" >&2; return 1; }; }
"#;

/// Where a line of a page stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Prose,
    /// In a block that is run; how it ends.
    Run(&'static str),
    /// At the first line of a block that may be a file.
    Begin,
    /// In a block that is written into a file.
    File,
    /// In another block.
    Other,
}

/// The script of a page, line for line. Org homes are directories of the directory that it runs in.
#[must_use]
pub fn script(page: &str) -> String {
    let mut place = Place::Prose;
    let mut lines = Vec::new();
    for line in page.lines() {
        let bare = line.trim();
        let told = match place {
            Place::Prose if bare == "```sh run" => {
                place = Place::Run("```");
                String::new()
            }
            Place::Prose if bare == "<!-- run" => {
                place = Place::Run("-->");
                String::new()
            }
            Place::Prose => {
                if bare.starts_with("```") {
                    place = Place::Begin;
                }
                String::new()
            }
            Place::Run(end) if bare == end => {
                place = Place::Prose;
                String::new()
            }
            Place::Run(_) => command(bare, line),
            Place::Begin if bare == "```" => {
                place = Place::Prose;
                String::new()
            }
            Place::Begin => {
                let file = file_name(bare);
                place = if file.is_some() { Place::File } else { Place::Other };
                file.map_or_else(String::new, |name| {
                    format!("mkdir -p \"$(dirname {name})\"; cat >{name} <<'END OF FILE'")
                })
            }
            Place::File if bare == "```" => {
                place = Place::Prose;
                "END OF FILE".to_owned()
            }
            Place::File => line.to_owned(),
            Place::Other => {
                if bare == "```" {
                    place = Place::Prose;
                }
                String::new()
            }
        };
        lines.push(told);
    }
    lines.join("\n") + "\n"
}

/// A line of a block that is run.
fn command(bare: &str, line: &str) -> String {
    if let Some(comment) = bare.strip_prefix("# ") {
        let org: String = comment.chars().take_while(char::is_ascii_lowercase).collect();
        let named = ["acme", "globex", "initech"].contains(&org.as_str());
        return if named { format!("export TIELINE_DATA=\"$PWD/{org}\"") } else { String::new() };
    }
    let Some((command, comment)) = line.rsplit_once('#') else { return line.to_owned() };
    match comment.split_once("exit code ").and_then(|(_, rest)| rest.get(..1)) {
        Some(code) => format!("code=0; {command} || code=$?; ended {code} $code"),
        None => line.to_owned(),
    }
}

/// The file that a block is, by its first line.
fn file_name(first: &str) -> Option<&str> {
    let name = first.strip_prefix("# ")?.split_whitespace().next()?;
    let ending = name.rsplit_once('.')?.1;
    ["toml", "csv", "json", "txt", "html"].contains(&ending).then_some(name)
}

/// The text with each address on loopback given a free port, the same one for the same address.
///
/// # Errors
/// No free port is to be had.
pub fn with_free_ports(text: &str, ports: &mut BTreeMap<String, u16>) -> io::Result<String> {
    const LOOPBACK: &str = "127.0.0.1:";
    let mut parts = text.split(LOOPBACK);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.chars().take_while(char::is_ascii_digit).count();
        let (port, rest) = part.split_at(digits);
        let free = match ports.get(port) {
            Some(free) => *free,
            None => {
                let free = crate::nats::free_port().map_err(io::Error::other)?;
                ports.insert(port.to_owned(), free);
                free
            }
        };
        out.push_str(&format!("{LOOPBACK}{free}{rest}"));
    }
    Ok(out)
}

/// Runs pages one after the other in `dir`, with `binaries` (where `tieline` and `nats-server` lie) on the
/// path. What they say comes back, and whether all of it went well.
///
/// # Errors
/// The script could not be written or run.
pub fn run(pages: &[(&str, String)], dir: &Path, binaries: &[&Path]) -> io::Result<Output> {
    let mut ports = BTreeMap::new();
    let mut all = format!("{PRELUDE}\ncd '{}'\n", dir.display());
    for (number, (name, page)) in pages.iter().enumerate() {
        let path = dir.join(format!(".page-{number}.sh"));
        std::fs::write(&path, with_free_ports(&script(page), &mut ports)?)?;
        all.push_str(&format!("page={name}\n. '{}'\n", path.display()));
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let places: Vec<String> = binaries.iter().map(|dir| dir.display().to_string()).collect();
    Command::new("timeout")
        .args(["120", "bash", "-c", &all])
        .env_clear()
        .env("PATH", format!("{}:{path}", places.join(":")))
        .env("HOME", dir)
        .env("REPO", concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
}
