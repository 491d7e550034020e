//! Where a place in a text of a TOML file is in the file: a rule is written as a TOML text, and its
//! errors are told where people see them.

/// The offset in `literal`, a TOML string as it is written with its quotes, of the place `line` and
/// `column` (characters, both from 1) of its value.
pub(super) fn in_literal(literal: &str, line: usize, column: usize) -> usize {
    let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| literal.starts_with(quote));
    let quote = quote.unwrap_or("");
    let mut at = quote.len();
    if quote.len() == 3 {
        // A line end right after the opening quotes is not part of the value.
        let rest = literal.get(at..).unwrap_or_default();
        at += if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with('\n')) };
    }
    let escapes = quote.starts_with('"');
    let (mut now_line, mut now_column) = (1, 1);
    while (now_line, now_column) < (line, column) {
        let rest = literal.get(at..).unwrap_or_default();
        let Some((written, newline)) = first(rest, escapes).filter(|(written, _)| *written > 0) else {
            break;
        };
        at += written;
        match newline {
            Some(true) => (now_line, now_column) = (now_line + 1, 1),
            Some(false) => now_column += 1,
            None => {}
        }
    }
    at
}

/// How many bytes the next character takes as it is written, and whether it is a line end; a line
/// end that is escaped is no character at all.
fn first(rest: &str, escapes: bool) -> Option<(usize, Option<bool>)> {
    let first = rest.chars().next()?;
    if first != '\\' || !escapes {
        return Some((first.len_utf8(), Some(first == '\n')));
    }
    let second = rest.get(1..)?.chars().next()?;
    Some(match second {
        'u' => (6, Some(false)),
        'U' => (10, Some(false)),
        'x' => (4, Some(false)),
        'n' => (2, Some(true)),
        c if c.is_whitespace() => {
            let after = rest.get(1..)?;
            (1 + after.len() - after.trim_start().len(), None)
        }
        c => (1 + c.len_utf8(), Some(false)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_text_is_found_as_it_is_written() {
        for (literal, line, column, rest) in [
            (r#""Amount > x""#, 1, 10, "x\""),
            (r"'Amount > x'", 1, 10, "x'"),
            (r#""a \"b\" \u00e9 x""#, 1, 9, "x\""),
            ("\"\"\"\na &&\nb x\"\"\"", 2, 3, "x\"\"\""),
            ("'''\r\na\r\nb x'''", 2, 3, "x'''"),
            ("\"\"\"a \\\n   b x\"\"\"", 1, 5, "x\"\"\""),
            (r#""a\nb x""#, 2, 3, "x\""),
            ("\"ü x\"", 1, 3, "x\""),
            ("\"a\"", 9, 9, ""),
        ] {
            let at = in_literal(literal, line, column);
            assert_eq!(literal.get(at..), Some(rest), "{literal}");
        }
    }
}
