//! Moving in: what another system keeps in its files, as files and records of ours.
//!
//! | module | one line |
//! |---|---|
//! | [`dx`], [`describe`] | read metadata: a source tree, a recorded describe |
//! | [`xml`] | the form of its files, bounded |
//! | [`source`] | what they say, whatever file it came from |
//! | [`field`], [`object`] | what becomes of it, part by part |
//! | [`formula`] | validation formulas as rules |
//! | [`mod@write`] | the TOML file of an object |
//! | [`links`] | links between records, as offers and as offers accepted into a record |
//!
//! Translating reads and writes files alone: no daemon is asked and nothing of an org changes. Nothing
//! is lost in silence: each field and rule of the source is taken, changed or left out, with the reason.
//! What is written was read back and checked as the daemon will, so `object apply` takes it.

pub(crate) mod connections;
mod describe;
mod dx;
mod field;
mod formula;
#[cfg(test)]
mod fuzz;
pub(crate) mod links;
pub(crate) mod object;
mod source;
mod write;
mod xml;

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value as Json, json};
use tieline_core::schema::standard_objects;

use crate::error::{CliError, Result};
use object::ObjectFate;
use source::{Problem, Source};

/// A translated object: the text of its file, if it has one, and what became of its parts.
#[derive(Debug)]
pub(crate) struct Translated {
    /// The TOML text.
    pub(crate) text: Option<String>,
    /// What became of it.
    pub(crate) fate: ObjectFate,
}

/// What a translation gives.
#[derive(Debug)]
pub(crate) struct Translation {
    /// The objects by name.
    pub(crate) objects: Vec<Translated>,
    problems: Vec<Problem>,
}

/// A file that could not be taken.
#[derive(Serialize)]
struct ProblemView<'p> {
    file: &'p str,
    line: Option<usize>,
    message: &'p str,
}

impl Translation {
    /// Files that could not be taken, as sentences.
    pub(crate) fn problems(&self) -> impl Iterator<Item = String> {
        self.problems.iter().map(|problem| match problem.line {
            Some(line) => format!("{}, line {line}: {}", problem.file, problem.message),
            None => format!("{}: {}", problem.file, problem.message),
        })
    }

    /// Everything for machines.
    pub(crate) fn to_json(&self) -> Json {
        let problems: Vec<ProblemView<'_>> = self
            .problems
            .iter()
            .map(|Problem { file, line, message }| ProblemView { file, line: *line, message })
            .collect();
        let objects: Vec<&ObjectFate> = self.objects.iter().map(|object| &object.fate).collect();
        json!({ "objects": objects, "problems": problems })
    }
}

/// Translates the metadata of source trees and describes.
///
/// # Errors
/// A source cannot be read, or none of them holds an object.
pub(crate) fn translate(sources: &[PathBuf]) -> Result<Translation> {
    let mut all = Source::default();
    for path in sources {
        let metadata = std::fs::metadata(path)
            .map_err(|error| crate::import::unreadable(&path.display().to_string(), &error))?;
        if metadata.is_dir() {
            let Source { objects, problems } = dx::read(path)?;
            all.objects.extend(objects);
            all.problems.extend(problems);
        } else {
            describe::read(path, &mut all);
        }
    }
    if all.objects.is_empty() && all.problems.is_empty() {
        let names: Vec<String> = sources.iter().map(|path| path.display().to_string()).collect();
        return Err(CliError::refused(format!("{} holds no object", names.join(", ")))
            .hint("Name a directory with objects/NAME/fields/*.field-meta.xml, or the JSON of a describe"));
    }
    all.objects.sort_by(|a, b| a.name.cmp(&b.name));
    let twice = all.objects.windows(2).find_map(|pair| match pair {
        [a, b] if a.name == b.name => Some(a.name.clone()),
        _ => None,
    });
    if let Some(name) = twice {
        return Err(CliError::usage(format!("Two sources describe {name}"))
            .hint("Translate them one by one, into directories of their own"));
    }
    let standard = standard_objects();
    let objects = all.objects.iter().map(|source| {
        let base = standard.iter().find(|object| object.name.as_str() == source.name);
        let (text, fate) = object::translate(source, base);
        Translated { text, fate }
    });
    Ok(Translation { objects: objects.collect(), problems: all.problems })
}

/// The name of the file of an object in `dir`, as `dir/order__c.toml`.
pub(crate) fn file_in(dir: &Path, object: &str) -> PathBuf {
    dir.join(format!("{}.toml", object.to_ascii_lowercase()))
}
