//! A body taken apart: the entries of a MessagePack map as their bytes.

/// Key, and the bytes of key and value. A key that is a place and no name is written `#3`.
pub(super) type Entry = (String, Vec<u8>);

/// The entries of a map.
pub(super) fn entries(body: &[u8]) -> Vec<Entry> {
    let (count, mut rest) = match *body {
        [head @ 0x80..=0x8f, ref rest @ ..] => (usize::from(head & 0x0f), rest),
        [0xde, high, low, ref rest @ ..] => (usize::from(u16::from_be_bytes([high, low])), rest),
        _ => panic!("a body is a map"),
    };
    let mut entries = Vec::new();
    for _ in 0..count {
        let (key, value) = rest.split_at(size(rest));
        let (entry, after) = rest.split_at(key.len() + size(value));
        let name = match key {
            [place @ 0..=0x7f] => format!("#{place}"),
            name => rmp_serde::from_slice(name).unwrap(),
        };
        entries.push((name, entry.to_vec()));
        rest = after;
    }
    assert!(rest.is_empty(), "a body is one map");
    entries
}

/// Whether the entries of a body have places instead of names.
pub(super) fn has_places(body: &[u8]) -> bool {
    entries(body).iter().any(|(key, _)| key.starts_with('#'))
}

/// The map of some entries.
pub(super) fn body(entries: &[Entry]) -> Vec<u8> {
    let count = u16::try_from(entries.len()).unwrap();
    let mut body = vec![0xde];
    body.extend(count.to_be_bytes());
    body.extend(entries.iter().flat_map(|(_, bytes)| bytes));
    body
}

/// How many bytes the first value takes.
fn size(bytes: &[u8]) -> usize {
    let number = |length: usize| bytes[1..=length].iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
    let values = |head: usize, count: usize| (0..count).fold(head, |at, _| at + size(&bytes[at..]));
    match bytes[0] {
        head @ 0x80..=0x8f => values(1, 2 * usize::from(head & 0x0f)),
        head @ 0x90..=0x9f => values(1, usize::from(head & 0x0f)),
        head @ 0xa0..=0xbf => 1 + usize::from(head & 0x1f),
        0xc4 | 0xd9 => 2 + number(1),
        0xc5 | 0xda => 3 + number(2),
        0xc6 | 0xdb => 5 + number(4),
        0xcc | 0xd0 => 2,
        0xcd | 0xd1 => 3,
        0xca | 0xce | 0xd2 => 5,
        0xcb | 0xcf | 0xd3 => 9,
        0xdc => values(3, number(2)),
        0xdd => values(5, number(4)),
        0xde => values(3, 2 * number(2)),
        0xdf => values(5, 2 * number(4)),
        0xc0..=0xc3 | 0x00..=0x7f | 0xe0..=0xff => 1,
        other => panic!("nothing of ours is encoded as {other:#x}"),
    }
}
