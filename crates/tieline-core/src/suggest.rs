//! "Did you mean …?": the known name that is written most like an unknown one.

/// The nearest of `known` to `text` by letters added, dropped, changed or swapped, case aside; none if all
/// of them are far off.
pub(crate) fn nearest<'a, T>(
    text: &str,
    known: impl Iterator<Item = &'a T>,
    name: impl Fn(&'a T) -> &'a str,
) -> Option<&'a T> {
    // A name of an object has 80 letters at most; what is longer is not a slip of the pen.
    const LETTERS_MAX: usize = 80;
    if text.len() > LETTERS_MAX {
        return None;
    }
    let allowed = text.len().div_ceil(3);
    known
        .map(|candidate| (distance(text, name(candidate)), candidate))
        .filter(|(slips, _)| *slips <= allowed)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// How many letters of ASCII names are added, dropped, changed or swapped with their neighbour,
/// case aside: the optimal string alignment.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
    let mut above_last: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let changed = at(&above, j) + usize::from(x != y);
            let mut least = changed.min(at(&above, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                least = least.min(at(&above_last, j - 1) + 1);
            }
            row.push(least);
        }
        above_last = std::mem::replace(&mut above, row);
    }
    at(&above, b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (a, b, slips) in [
            ("", "", 0),
            ("abc", "ABC", 0),
            ("Amuont", "Amount", 1),
            ("Stauts", "State", 2),
            ("kitten", "sitting", 3),
            ("Nme", "Name", 1),
            ("x", "", 1),
        ] {
            assert_eq!(distance(a, b), slips, "{a} {b}");
        }
    }

    #[test]
    fn only_what_is_near_is_suggested() {
        let known = ["Amount", "StageName", "Name"].map(str::to_owned);
        let ask = |text: &str| nearest(text, known.iter(), |k| k.as_str()).map(String::as_str);
        assert_eq!(ask("amuont"), Some("Amount"));
        assert_eq!(ask("Stagename"), Some("StageName"));
        assert_eq!(ask("Industry"), None);
        assert_eq!(ask(&"x".repeat(1000)), None);
    }
}
