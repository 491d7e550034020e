//! Regular expressions of formulas, which are those of Java, as rules write them.

/// The pattern for `matches` that finds what `REGEX` finds: the whole text, and digits, letters and
/// white space of ASCII alone. What only Java has (looking around, references back) stays as it is,
/// and is refused when the rule is checked.
pub(super) fn pattern(java: &str) -> String {
    let mut out = String::from("^(?:");
    let mut in_class = false;
    let mut characters = java.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match (characters.next(), in_class) {
                (Some('d'), false) => out.push_str("[0-9]"),
                (Some('d'), true) => out.push_str("0-9"),
                (Some('w'), false) => out.push_str("[A-Za-z0-9_]"),
                (Some('w'), true) => out.push_str("A-Za-z0-9_"),
                (Some('s'), false) => out.push_str(r"[ \t\n\x0B\f\r]"),
                (Some('s'), true) => out.push_str(r" \t\n\x0B\f\r"),
                (Some('D'), false) => out.push_str("[^0-9]"),
                (Some('W'), false) => out.push_str("[^A-Za-z0-9_]"),
                (Some('S'), false) => out.push_str(r"[^ \t\n\x0B\f\r]"),
                (Some(escaped), _) => out.extend(['\\', escaped]),
                (None, _) => out.push('\\'),
            },
            _ => {
                in_class = match character {
                    '[' => true,
                    ']' => false,
                    _ => in_class,
                };
                out.push(character);
            }
        }
    }
    out + ")$"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_of_ascii() {
        for (java, ours) in [
            (r"\d{5}(-\d{4})?", "^(?:[0-9]{5}(-[0-9]{4})?)$"),
            (r"[\w.%+-]+@[a-z]+", "^(?:[A-Za-z0-9_.%+-]+@[a-z]+)$"),
            (r"a|b\.\S", r"^(?:a|b\.[^ \t\n\x0B\f\r])$"),
            (r"x\", r"^(?:x\)$"),
        ] {
            assert_eq!(pattern(java), ours);
        }
    }
}
