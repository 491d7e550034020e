//! What is wrong with a text that is no expression: the parser's finding in words for those who
//! write rules, with its place.

use super::ExpressionError;
use crate::limits::EXPRESSION_DEPTH_MAX;
use crate::reason::quoted;

/// Explains what the parser found: its places and messages. Its messages speak of its tokens; what is
/// wrong is told from the text around the first place instead.
pub(super) fn explain<'a>(
    text: &str,
    found: impl IntoIterator<Item = ((isize, isize), &'a str)>,
) -> ExpressionError {
    let (mut first, mut deep) = (None, false);
    for (place, finding) in found {
        deep |= finding.contains("recursion limit");
        // What has no place says that the parser gave up after another finding.
        first = first.or_else(|| Some(place).filter(|(line, _)| *line > 0));
    }
    let at = first.map_or(0, |(line, column)| offset(text, line, column));
    let (before, rest) = text.split_at_checked(at).unwrap_or((text, ""));
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    deep |= unclosed(before).len() > EXPRESSION_DEPTH_MAX;
    let reason = if deep {
        format!("it nests deeper than {EXPRESSION_DEPTH_MAX} levels; split it into several rules")
    } else {
        reason(before, rest.trim_start())
    };
    ExpressionError {
        line: before.matches('\n').count() + 1,
        column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        message: format!("not an expression: {reason}"),
    }
}

/// The offset in bytes of a place as the parser tells it: lines before it are counted in bytes,
/// the rest in characters.
fn offset(text: &str, line: isize, column: isize) -> usize {
    let index = |number: isize| usize::try_from(number - 1).unwrap_or(0);
    let before: usize = text.split_inclusive('\n').take(index(line)).map(str::len).sum();
    text.char_indices().nth(before + index(column)).map_or(text.len(), |(at, _)| at)
}

/// What is wrong between `before`, which is right so far, and `rest`.
fn reason(before: &str, rest: &str) -> String {
    let here = token(rest);
    let shown = quoted(here);
    let left = before.trim_end();
    // Whether a value ends here, so that an operator or a bracket has to follow.
    let value = left.ends_with(|c: char| c.is_alphanumeric() || "_\"')]}".contains(c));
    let open = unclosed(left).pop();
    match (here, open) {
        ("", _) if left.is_empty() => "it is empty; write a condition, as Amount > 0".to_owned(),
        ("", Some(closing)) if value => format!("a closing {closing} is missing at its end"),
        ("", _) => format!("it ends too early; a value is missing after {}", quoted(last_token(left))),
        ("=", _) => "= compares nothing; write ==".to_owned(),
        ("&", _) => "a single & means nothing; write && for and".to_owned(),
        ("|", _) => "a single | means nothing; write || for or".to_owned(),
        (">", _) if left.ends_with('<') => "<> is not known; write != for unequal".to_owned(),
        _ if here.eq_ignore_ascii_case("and") => format!("{shown} is not known; write && for and"),
        _ if here.eq_ignore_ascii_case("or") => format!("{shown} is not known; write || for or"),
        _ if last_token(left).eq_ignore_ascii_case("not") => "not is not known; write ! for not".to_owned(),
        _ if here.starts_with(['"', '\'']) && !is_closed(rest) => {
            "a text is not closed; end it with the quote that it begins with".to_owned()
        }
        _ if before.ends_with(char::is_numeric) && here.starts_with(char::is_alphanumeric) => {
            format!("a number goes on with {shown}; write it as 12.5")
        }
        (_, Some(closing)) if value => format!("a closing {closing} is missing before {shown}"),
        _ if value => format!("{shown} cannot follow here; join conditions with && or ||"),
        _ => format!("{shown} cannot stand here; a value is missing before it"),
    }
}

/// What closes the brackets that are still open, the innermost last; texts left out.
fn unclosed(text: &str) -> Vec<char> {
    let (mut open, mut quote) = (Vec::new(), None);
    for c in text.chars() {
        match (quote, c) {
            (Some(end), _) if c == end => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(') => open.push(')'),
            (None, '[') => open.push(']'),
            (None, '{') => open.push('}'),
            (None, ')' | ']' | '}') => drop(open.pop()),
            _ => {}
        }
    }
    open
}

/// The word, number, text or operator that `rest` begins with.
fn token(rest: &str) -> &str {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let Some(first) = rest.chars().next() else { return "" };
    let end = match first {
        c if is_word(c) => rest.find(|c| !is_word(c) && c != '.'),
        '"' | '\'' => rest.char_indices().skip(1).find(|(_, c)| *c == first).map(|(at, c)| at + c.len_utf8()),
        _ if ["<>", "<=", ">=", "==", "!=", "&&", "||"].iter().any(|two| rest.starts_with(two)) => Some(2),
        c => Some(c.len_utf8()),
    };
    end.and_then(|end| rest.get(..end)).unwrap_or(rest)
}

/// The last word or operator of a text.
fn last_token(text: &str) -> &str {
    let word = text.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_');
    let start =
        if word.len() < text.len() { word } else { text.trim_end_matches(|c: char| !c.is_whitespace()) };
    text.get(start.len()..).unwrap_or(text)
}

fn is_closed(rest: &str) -> bool {
    let mut chars = rest.chars();
    let quote = chars.next();
    chars.any(|c| Some(c) == quote)
}
