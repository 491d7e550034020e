//! Names keep their rules, ids survive text and bytes.

use super::*;

#[test]
fn names_keep_their_rules() {
    for (text, ok) in
        [("acme", true), ("a-1", true), ("", false), ("hub", false), ("Acme", false), ("in_a", false)]
    {
        assert_eq!(text.parse::<OrgName>().is_ok(), ok, "{text}");
    }
    for (text, ok) in [("Fund__c", true), ("1x", false), ("a.b", false), ("Ä", false)] {
        assert_eq!(text.parse::<ObjectName>().is_ok(), ok, "{text}");
    }
}

#[test]
fn names_are_ordered_and_hashed_as_their_texts() {
    let texts =
        ["A", "Aa", "AccountId", "AccountIds", "AccountName", "Account", "a", "a_", "zzzzzzzz", "zzzzzzzzz"];
    let name = |text: &str| text.parse::<FieldName>().unwrap();
    for (a, b) in texts.iter().flat_map(|a| texts.iter().map(move |b| (*a, *b))) {
        assert_eq!(name(a).cmp(&name(b)), a.cmp(b), "{a} {b}");
        assert_eq!(name(a) == name(b), a == b, "{a} {b}");
    }
    for text in texts {
        assert_eq!(hash(&name(text)), hash(text), "{text}");
    }
}

fn hash(hashed: &(impl std::hash::Hash + ?Sized)) -> u64 {
    use std::hash::Hasher;
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    hashed.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn ids_survive_text_and_bytes() {
    let id = RecordId(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
    assert_eq!(id.to_string().parse::<RecordId>(), Ok(id));
    let bytes = rmp_serde::to_vec(&id).unwrap();
    assert_eq!(bytes.len(), 18);
    assert_eq!(rmp_serde::from_slice::<RecordId>(&bytes).unwrap(), id);
    assert!("not an id".parse::<RecordId>().is_err());
}

#[test]
fn ids_are_written_in_the_base_32_of_crockford() {
    let mut base32 = data_encoding::Specification::new();
    base32.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    let base32 = base32.encoding().unwrap();
    let ids = (0..500_u32).map(|i| first_128(&blake3::hash(&i.to_le_bytes())));
    for id in ids.chain([0, 1, 7, 8, u128::MAX, 1 << 127]) {
        let text = RecordId(id).to_string();
        assert_eq!(text, base32.encode(&id.to_be_bytes()));
        // Whatever one symbol is altered to, both read the same.
        for (at, symbol) in [(0, 'z'), (5, 'u'), (9, 'A'), (25, '1'), (25, 'w'), (25, '-'), (25, '\u{e9}')] {
            let mut symbols: Vec<char> = text.chars().collect();
            symbols[at] = symbol;
            let altered: String = symbols.into_iter().collect();
            let theirs = base32.decode(altered.as_bytes()).ok();
            let ours = altered.parse::<RecordId>().ok().map(|id| id.0.to_be_bytes().to_vec());
            assert_eq!(ours, theirs, "{altered}");
        }
    }
}

#[test]
fn moments_are_read_as_they_are_written() {
    let moment = Timestamp(1_767_225_600_000_000);
    assert_eq!(moment.to_string().parse(), Ok(moment));
    assert_eq!("2026-01-01".parse(), Ok(moment));
    assert_eq!("2026-01-01T01:00:00.5+01:00".parse(), Ok(moment.plus_us(500_000)));
    for text in ["", "yesterday", "2026-13-01", "1767225600"] {
        assert!(text.parse::<Timestamp>().is_err(), "{text}");
    }
}

#[test]
fn a_later_life_is_a_greater_number() {
    assert!(Incarnation::begin(Timestamp(2), 0) > Incarnation::begin(Timestamp(1), u64::MAX));
}
