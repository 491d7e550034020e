//! Every command line that the pages show parses, and every command and option that they name is there.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command as Clap, CommandFactory, Parser};

use super::Cli;

fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let all: Vec<PathBuf> =
        docs.chain(["README.md", "ARCHITECTURE.md"].map(|name| root.join(name))).collect();
    let read = |path: &PathBuf| (path.display().to_string(), fs::read_to_string(path).unwrap());
    all.iter().filter(|path| path.extension().is_some_and(|ending| ending == "md")).map(read).collect()
}

/// The words of a shell command up to its end: quotes are taken away, and what stands in them is one word.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some(q), _) if c == q => quote = None,
            (None, '\'' | '"') => (quote, begun) = (Some(c), true),
            (None, ' ') => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            (None, '#') if !begun => return words,
            (None, '|' | '>' | '&' | ';' | ')') => break,
            _ => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun && word != "2" {
        words.push(word);
    }
    words
}

/// Words of a page that stand for something: variables, ids and URLs.
fn meant(word: String) -> String {
    let id = format!("{:0>26}", 4);
    match word.as_str() {
        "ID" | "RECORD" | "SHARE" | "CONTACT" | "EFFECT" => id,
        "SEQ" => "12".to_owned(),
        word if word.starts_with('$') => id,
        _ => word,
    }
}

/// The command lines of the blocks of a page, with the line each begins at.
fn shown(page: &str) -> Vec<(usize, String)> {
    let (mut found, mut block, mut open): (Vec<(usize, String)>, bool, bool) = (Vec::new(), false, false);
    for (number, line) in page.lines().enumerate() {
        let bare = line.trim();
        if let Some(kind) = bare.strip_prefix("```") {
            block = !block && ["", "sh", "sh run", "console"].contains(&kind);
            open = false;
        } else if block && open {
            let (_, last) = found.last_mut().unwrap();
            last.push_str(bare);
            open = bare.ends_with('\\');
        } else if block {
            found.push((number + 1, bare.to_owned()));
            open = bare.ends_with('\\');
        }
    }
    let joined = found.into_iter().map(|(number, line)| (number, line.replace('\\', " ")));
    joined.flat_map(|(number, line)| commands(line).into_iter().map(move |line| (number, line))).collect()
}

/// The commands of ours in a line: those whose results others take, and the last one.
fn commands(mut line: String) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(begin) = line.find("$(tieline ") {
        let end = line[begin..].find(')').map_or(line.len(), |at| begin + at);
        found.push(line[begin + 2..end].to_owned());
        line.replace_range(begin..line.len().min(end + 1), "$RESULT");
    }
    let bare = line.strip_prefix("$ ").unwrap_or(&line);
    found.extend(bare.starts_with("tieline ").then(|| bare.to_owned()));
    found
}

#[test]
fn command_lines_in_blocks_parse() {
    let mut count = 0;
    for (name, page) in pages() {
        for (number, line) in shown(&page) {
            let words: Vec<String> = words(&line).into_iter().map(meant).collect();
            let parsed = Cli::try_parse_from(&words);
            let why = parsed.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(why.is_empty(), "{name}:{number}: {line}\n{why}");
            count += 1;
        }
    }
    assert!(count > 100, "only {count} command lines were found");
}

/// The command that the words name, and the words behind it.
fn named<'a>(clap: &'a Clap, words: &'a [String]) -> (&'a Clap, &'a [String]) {
    match words.split_first().and_then(|(word, rest)| Some((clap.find_subcommand(word)?, rest))) {
        Some((command, rest)) => named(command, rest),
        None => (clap, words),
    }
}

#[test]
fn commands_and_options_in_sentences_are_there() {
    let mut cli = Cli::command();
    cli.build();
    for (name, page) in pages() {
        // A sentence may break inside the quotes.
        let text = page.split("```").step_by(2).collect::<Vec<_>>().join(" ").replace('\n', " ");
        for code in text.split('`').skip(1).step_by(2) {
            let Some(rest) = code.strip_prefix("tieline ") else { continue };
            let words = words(&rest.split_whitespace().collect::<Vec<_>>().join(" "));
            let (command, rest) = named(&cli, &words);
            let is_word = |word: &&String| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            if command.has_subcommands()
                && let Some(word) = rest.first().filter(is_word)
            {
                assert!(word.starts_with('-'), "{name}: `{code}`: there is no {word}");
            }
            for option in rest.iter().filter_map(|word| word.strip_prefix("--")) {
                let option = option.split(['=', ',']).next().unwrap_or_default();
                let known = ["help", "version"].contains(&option)
                    || command.get_arguments().any(|argument| argument.get_long() == Some(option));
                assert!(known, "{name}: `{code}`: there is no --{option}");
            }
        }
    }
}
