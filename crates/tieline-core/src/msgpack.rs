//! A look at MessagePack before anything decodes it: depth, count and lengths.
//!
//! `rmp-serde` recurses as deep as its input says, and a nest of enums of 60 KB aborts the
//! process. So whatever comes from outside is walked here first, without recursion, without
//! allocation that the input can choose, and without looking at what the values mean.

/// Why bytes are not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The input ends inside a value, or a length reaches beyond its end.
    #[error("MessagePack ends too early: the value at byte {at} reaches beyond the input")]
    Truncated {
        /// Offset of the value that is cut off.
        at: usize,
    },
    /// A complete value is followed by more bytes.
    #[error("MessagePack has {extra} bytes after its value")]
    Trailing {
        /// How many bytes are left over.
        extra: usize,
    },
    /// Containers are nested deeper than allowed.
    #[error("MessagePack is nested deeper than {max} levels at byte {at}")]
    TooDeep {
        /// Offset of the container that is too deep.
        at: usize,
        /// The limit.
        max: usize,
    },
    /// There are more values than allowed.
    #[error("MessagePack has more than {max} values")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// The byte `0xc1`, which starts no value.
    #[error("MessagePack has the byte 0xc1, which starts no value, at {at}")]
    Reserved {
        /// Offset of the byte.
        at: usize,
    },
}

/// Checks that `bytes` are exactly one MessagePack value of at most `max_depth` nested containers
/// and `max_nodes` values, all of whose lengths lie within the input.
///
/// A container counts as one value and so does each of its elements; a map of n entries has 2n.
/// A scalar has depth zero.
///
/// # Errors
/// The first rule that the input breaks, with its place.
pub fn scan_msgpack(bytes: &[u8], max_depth: usize, max_nodes: usize) -> Result<(), ScanError> {
    // How many values are still to come at each level. It grows only as far as `max_depth`.
    let mut open: Vec<u64> = Vec::with_capacity(max_depth.min(64));
    let mut left: u64 = 1;
    let mut at = 0;
    let mut nodes = 0;
    loop {
        while left == 0 {
            match open.pop() {
                Some(outer) => left = outer,
                None if at == bytes.len() => return Ok(()),
                None => return Err(ScanError::Trailing { extra: bytes.len() - at }),
            }
        }
        left -= 1;
        nodes += 1;
        if nodes > max_nodes {
            return Err(ScanError::TooMany { max: max_nodes });
        }
        let node = Node::read(bytes, at)?;
        if let Some(children) = node.children {
            if open.len() >= max_depth {
                return Err(ScanError::TooDeep { at, max: max_depth });
            }
            // Each child takes a byte at least: a count that cannot fit is refused before the walk.
            if children > (bytes.len() - node.end) as u64 {
                return Err(ScanError::Truncated { at });
            }
            open.push(left);
            left = children;
        }
        at = node.end;
    }
}

/// One value: where its own bytes end, and how many values it contains, if it is a container.
struct Node {
    end: usize,
    children: Option<u64>,
}

impl Node {
    fn read(bytes: &[u8], at: usize) -> Result<Self, ScanError> {
        let first = *bytes.get(at).ok_or(ScanError::Truncated { at })?;
        // The length field of `width` bytes after the first byte, big endian.
        let length = |width: usize| -> Result<u64, ScanError> {
            let field = bytes.get(at + 1..at + 1 + width).ok_or(ScanError::Truncated { at })?;
            Ok(field.iter().fold(0, |n, &b| n << 8 | u64::from(b)))
        };
        // A value of a head (the first byte and `head` more) and `body` bytes.
        let flat = |head: u64, body: u64| -> Result<Self, ScanError> {
            // At most 2^32 + 6, so the sum does not overflow; what is beyond the input is refused.
            let end = at as u64 + 1 + head + body;
            if end > bytes.len() as u64 {
                return Err(ScanError::Truncated { at });
            }
            Ok(Self { end: end as usize, children: None })
        };
        let nest = |head: usize, children: u64| Ok(Self { end: at + 1 + head, children: Some(children) });
        let low = u64::from(first);
        match first {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => flat(0, 0),
            0x80..=0x8f => nest(0, 2 * (low & 0x0f)),
            0x90..=0x9f => nest(0, low & 0x0f),
            0xa0..=0xbf => flat(0, low & 0x1f),
            0xc1 => Err(ScanError::Reserved { at }),
            0xc4 | 0xd9 => flat(1, length(1)?),
            0xc5 | 0xda => flat(2, length(2)?),
            0xc6 | 0xdb => flat(4, length(4)?),
            0xc7 => flat(2, length(1)?),
            0xc8 => flat(3, length(2)?),
            0xc9 => flat(5, length(4)?),
            0xcc | 0xd0 => flat(0, 1),
            0xcd | 0xd1 => flat(0, 2),
            0xca | 0xce | 0xd2 => flat(0, 4),
            0xcb | 0xcf | 0xd3 => flat(0, 8),
            0xd4..=0xd8 => flat(1, 1 << (low - 0xd4)),
            0xdc => nest(2, length(2)?),
            0xdd => nest(4, length(4)?),
            0xde => nest(2, 2 * length(2)?),
            0xdf => nest(4, 2 * length(4)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn scan(bytes: &[u8]) -> Result<(), ScanError> {
        scan_msgpack(bytes, 4, 100)
    }

    #[test]
    fn one_whole_value_passes() {
        let table: &[&[u8]] = &[
            b"\x00",
            b"\xff",
            b"\xc0",
            b"\xc2",
            b"\xa3abc",
            b"\xcc\x01",
            b"\xcb\0\0\0\0\0\0\0\0",
            b"\xd9\x02ab",
            b"\xda\0\x01a",
            b"\xc4\x01a",
            b"\xd4\x01a",
            b"\xd8\x010123456789abcdef",
            b"\xc7\x01\x05a",
            b"\x90",
            b"\x92\x01\x92\x02\xa0",
            b"\x81\x01\x02",
            b"\xdc\0\x01\xc0",
            b"\xdf\0\0\0\x01\x01\x02",
            b"\x91\x91\x91\x91\x01",
        ];
        for bytes in table {
            assert_eq!(scan(bytes), Ok(()), "{bytes:x?}");
        }
    }

    #[test]
    fn everything_else_is_refused_by_its_rule() {
        let table: &[(&[u8], ScanError)] = &[
            (b"", ScanError::Truncated { at: 0 }),
            (b"\xa3ab", ScanError::Truncated { at: 0 }),
            (b"\x92\x01", ScanError::Truncated { at: 0 }),
            (b"\x92\x01\xcd\x01", ScanError::Truncated { at: 2 }),
            (b"\xdb\xff\xff\xff\xff", ScanError::Truncated { at: 0 }),
            (b"\xc9\xff\xff\xff\xff", ScanError::Truncated { at: 0 }),
            (b"\xdd\xff\xff\xff\xff\xc0", ScanError::Truncated { at: 0 }),
            (b"\xdf\xff\xff\xff\xff\xc0", ScanError::Truncated { at: 0 }),
            (b"\xdc\x00", ScanError::Truncated { at: 0 }),
            (b"\x01\x02\x03", ScanError::Trailing { extra: 2 }),
            (b"\x91\xc1", ScanError::Reserved { at: 1 }),
            (b"\x91\x91\x91\x91\x91\x01", ScanError::TooDeep { at: 4, max: 4 }),
            (b"\x81\x01\x81\x01\x81\x01\x81\x01\x80", ScanError::TooDeep { at: 8, max: 4 }),
        ];
        for (bytes, error) in table {
            assert_eq!(scan(bytes), Err(*error), "{bytes:x?}");
        }
        let list = rmp_serde::to_vec([0_u8; 100].as_slice()).unwrap();
        assert_eq!(scan(&list), Err(ScanError::TooMany { max: 100 }));
        assert_eq!(scan(&rmp_serde::to_vec([0_u8; 99].as_slice()).unwrap()), Ok(()));
    }

    /// The input that aborts a decoder: the scan neither recurses nor allocates for it.
    #[test]
    fn a_deep_nest_is_refused_at_once() {
        let nest = vec![0x91; 1_000_000];
        assert_eq!(scan_msgpack(&nest, 16, 65_536), Err(ScanError::TooDeep { at: 16, max: 16 }));
        assert_eq!(scan_msgpack(&nest, usize::MAX, 65_536), Err(ScanError::TooMany { max: 65_536 }));
    }

    proptest! {
        #[test]
        fn no_input_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), depth in 0_usize..6, nodes in 0_usize..50) {
            let _scanned = scan_msgpack(&bytes, depth, nodes);
        }

        /// What the decoder reads whole, the scan accepts.
        #[test]
        fn it_agrees_with_the_decoder(bytes in prop::collection::vec(any::<u8>(), 1..24)) {
            let mut input = bytes.as_slice();
            let read = serde::de::IgnoredAny::deserialize(&mut rmp_serde::Deserializer::new(&mut input));
            if read.is_ok() && input.is_empty() {
                prop_assert_eq!(scan_msgpack(&bytes, 64, 1000), Ok(()));
            }
        }

        /// What the encoder writes passes, and nothing shorter or longer does.
        #[test]
        fn it_accepts_what_is_written(map in prop::collection::btree_map(any::<String>(), prop::collection::vec(any::<Option<i64>>(), 0..20), 0..20)) {
            let map: BTreeMap<String, Vec<Option<i64>>> = map;
            let mut bytes = rmp_serde::to_vec_named(&map).unwrap();
            prop_assert_eq!(scan_msgpack(&bytes, 2, 1000), Ok(()));
            bytes.push(0);
            prop_assert_eq!(scan_msgpack(&bytes, 2, 1000), Err(ScanError::Trailing { extra: 1 }));
            bytes.truncate(bytes.len() - 2);
            prop_assert!(scan_msgpack(&bytes, 2, 1000).is_err());
        }
    }

    use serde::Deserialize;
}
