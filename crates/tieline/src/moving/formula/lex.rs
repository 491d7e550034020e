//! From the text of a formula to its tokens.

use super::FormulaError;

/// Most bytes of a formula: twice what the reference system takes.
pub(super) const FORMULA_BYTES_MAX: usize = 10_000;

/// What a formula is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A number as it was written, with a digit on both sides of its point.
    Number(String),
    /// A text, without quotes and escapes.
    Text(String),
    /// A name, with its points and its `$`.
    Name(String),
    /// An operator, bracket or comma.
    Sign(&'static str),
}

/// A token and the character, from 1, at which it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) at: usize,
}

/// Longer signs stand before their beginnings.
const SIGNS: &[&str] = &[
    "&&", "||", "<>", "!=", "<=", ">=", "==", "(", ")", ",", "+", "-", "*", "/", "^", "&", "=", "<", ">", "!",
];

/// The tokens of a formula; comments and white space are none.
///
/// # Errors
/// A character that begins no token, a text or comment that does not end, a formula that is too long.
pub(super) fn lex(text: &str) -> Result<Vec<Placed>, FormulaError> {
    if text.len() > FORMULA_BYTES_MAX {
        let message = format!("the formula has {} bytes, more than {FORMULA_BYTES_MAX}", text.len());
        return Err(FormulaError { at: 1, message });
    }
    let mut tokens = Vec::new();
    let (mut rest, mut at) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let fault = |message: String| FormulaError { at, message };
        let length = if first.is_whitespace() {
            first.len_utf8()
        } else if rest.starts_with("/*") {
            2 + rest
                .get(2..)
                .and_then(|body| body.find("*/"))
                .ok_or_else(|| fault("the comment does not end".to_owned()))?
                + 2
        } else if first == '"' || first == '\'' {
            let (content, length) =
                quoted(rest, first).ok_or_else(|| fault("the text in quotes does not end".to_owned()))?;
            tokens.push(Placed { token: Token::Text(content), at });
            length
        } else if first.is_ascii_digit() || first == '.' {
            let length = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
            let written = rest.get(..length).unwrap_or_default();
            let number = number(written).ok_or_else(|| fault(format!("{written} is not a number")))?;
            tokens.push(Placed { token: Token::Number(number), at });
            length
        } else if first.is_ascii_alphabetic() || first == '$' || first == '_' {
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.$".contains(byte);
            let length = rest.bytes().take_while(is_part).count();
            let name = rest.get(..length).unwrap_or_default().to_owned();
            tokens.push(Placed { token: Token::Name(name), at });
            length
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Placed { token: Token::Sign(sign), at });
            sign.len()
        } else {
            return Err(fault(format!("{first:?} begins nothing that a formula has")));
        };
        let (passed, left) = rest.split_at_checked(length).unwrap_or((rest, ""));
        at += passed.chars().count();
        rest = left;
    }
    Ok(tokens)
}

/// The content of the text in quotes at the beginning of `rest`, and the bytes that it takes there.
fn quoted(rest: &str, quote: char) -> Option<(String, usize)> {
    let mut content = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            _ if character == quote => return Some((content, at + 1)),
            '\\' => match characters.next()?.1 {
                'n' => content.push('\n'),
                'r' => content.push('\r'),
                't' => content.push('\t'),
                escaped @ ('\\' | '"' | '\'') => content.push(escaped),
                // Not an escape: both characters were meant.
                other => content.extend(['\\', other]),
            },
            _ => content.push(character),
        }
    }
    None
}

/// A number with a digit on both sides of its point, as `0.5` for `.5`.
fn number(written: &str) -> Option<String> {
    match written.split_once('.') {
        None => Some(written.to_owned()),
        Some(("", "")) => None,
        Some((_, fraction)) if fraction.contains('.') => None,
        Some((whole, "")) => Some(whole.to_owned()),
        Some(("", fraction)) => Some(format!("0.{fraction}")),
        Some(_) => Some(written.to_owned()),
    }
}
