//! One block as it lies in sled: its key, its header, its link in the chain.
//!
//! A block holds whole groups, compressed, or one **part** of a group that is too large for one
//! block. The key is the first seq, big endian; the parts of a large group after the first add
//! their number, so they lie right behind it. A value never exceeds [`BLOCK_BYTES_MAX`], or sled
//! would put its page into a blob file, which is never fsynced.
//!
//! The header, numbers little endian (the content follows):
//!
//! | at | bytes | meaning |
//! |---|---|---|
//! | 0 | 1 | codec version, 1: groups of events, compressed by zstd |
//! | 1 | 1 | flags; 1: the group goes on in the next block |
//! | 2 | 4 | number of events; 0 in a part that is not the first |
//! | 6 | 4 | bytes after decompression (of all parts together); 0 in a part that is not the first |
//! | 10 | 8 | time of the first group, microseconds |
//! | 18 | 32 | chain hash: BLAKE3 of previous hash, key, header before this field, content |

use tieline_core::Seq;
use tieline_core::Timestamp;
use tieline_core::log::{ChainHash, Group};

/// Most bytes of one stored block, header included. A leaf of sled holds up to 16 entries and must
/// stay under 128 KiB: 16 × 8,000 does, with room for keys.
pub const BLOCK_BYTES_MAX: usize = 8_000;
/// Most bytes of compressed content of one block.
pub(crate) const CONTENT_BYTES_MAX: usize = BLOCK_BYTES_MAX - HEADER_BYTES;
const HEADER_BYTES: usize = HASHED_BYTES + 32;
/// Bytes of the header in front of the hash.
const HASHED_BYTES: usize = 18;

const CODEC: u8 = 1;
const CONTINUES: u8 = 1;

/// Where a block lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    /// First seq of the block, or of the group of which it is a part.
    pub(crate) first: Seq,
    /// Zero, or the number of the part of a large group.
    pub(crate) part: u16,
}

/// A key as sled orders it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyBytes {
    bytes: [u8; 10],
    len: usize,
}

impl AsRef<[u8]> for KeyBytes {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Key {
    pub(crate) fn of(first: Seq) -> Self {
        Self { first, part: 0 }
    }

    pub(crate) fn bytes(self) -> KeyBytes {
        let mut bytes = [0; 10];
        let (seq, part) = bytes.split_at_mut(8);
        seq.copy_from_slice(&self.first.0.to_be_bytes());
        part.copy_from_slice(&self.part.to_be_bytes());
        KeyBytes { bytes, len: if self.part == 0 { 8 } else { 10 } }
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (first, part) = bytes.split_first_chunk()?;
        let part = match part {
            [] => 0,
            &[high, low] => u16::from_be_bytes([high, low]),
            _ => return None,
        };
        let key = Self { first: Seq(u64::from_be_bytes(*first)), part };
        // One block has one key: a part 0 that is written out would be a second one.
        (key.bytes().as_ref() == bytes).then_some(key)
    }
}

/// What a header says, besides the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) continues: bool,
    pub(crate) count: u32,
    pub(crate) raw_bytes: u32,
    pub(crate) time: Timestamp,
}

/// A stored block, borrowed. Nothing in it is proven until its hash has been compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'a> {
    pub(crate) header: Header,
    pub(crate) hash: ChainHash,
    pub(crate) content: &'a [u8],
    hashed: &'a [u8],
}

impl<'a> Block<'a> {
    /// Reads the value that lies at `key`; the error says what is wrong with it.
    pub(crate) fn parse(key: Key, value: &'a [u8]) -> Result<Self, String> {
        let (hashed, rest) = value.split_at_checked(HASHED_BYTES).ok_or("its header is cut off")?;
        let (hash, content) = rest.split_first_chunk().ok_or("its header is cut off")?;
        let mut fields = hashed;
        let [codec, flags] = take(&mut fields);
        let header = Header {
            continues: flags & CONTINUES != 0,
            count: u32::from_le_bytes(take(&mut fields)),
            raw_bytes: u32::from_le_bytes(take(&mut fields)),
            time: Timestamp(i64::from_le_bytes(take(&mut fields))),
        };
        if codec != CODEC || flags & !CONTINUES != 0 {
            return Err(format!("codec {codec} with flags {flags} is not known to this version of Tieline"));
        }
        if (key.part == 0) != (header.count > 0) || header.raw_bytes as usize > Group::BYTES_MAX {
            return Err(format!("{} events in {} bytes cannot be", header.count, header.raw_bytes));
        }
        if key.first.0.checked_add(u64::from(header.count)).is_none() {
            return Err(format!("{} events from seq {} on cannot be", header.count, key.first));
        }
        Ok(Self { header, hash: ChainHash(*hash), content, hashed })
    }

    /// The hash that this block must have behind `previous`.
    pub(crate) fn hash_behind(&self, previous: ChainHash, key: Key) -> ChainHash {
        previous.link(&[key.bytes().as_ref(), self.hashed, self.content])
    }
}

/// Takes `N` bytes off the front of a header that is long enough.
fn take<const N: usize>(fields: &mut &[u8]) -> [u8; N] {
    let (taken, rest) = fields.split_first_chunk().unwrap_or((&[0; N], &[]));
    *fields = rest;
    *taken
}

/// Writes the value of a block into `value` and returns its hash.
pub(crate) fn seal(
    previous: ChainHash,
    key: Key,
    header: Header,
    content: &[u8],
    value: &mut Vec<u8>,
) -> ChainHash {
    value.clear();
    value.extend_from_slice(&[CODEC, if header.continues { CONTINUES } else { 0 }]);
    value.extend_from_slice(&header.count.to_le_bytes());
    value.extend_from_slice(&header.raw_bytes.to_le_bytes());
    value.extend_from_slice(&header.time.0.to_le_bytes());
    let hash = previous.link(&[key.bytes().as_ref(), value, content]);
    value.extend_from_slice(&hash.0);
    value.extend_from_slice(content);
    hash
}

const _: () = {
    assert!(16 * (BLOCK_BYTES_MAX + 32) < 128 * 1024, "a full leaf stays out of the blob files");
    assert!(
        2 * Group::BYTES_MAX / CONTENT_BYTES_MAX < u16::MAX as usize,
        "the parts of the largest group can be numbered"
    );
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_lies_behind_its_group_and_before_the_next() {
        let keys = [(1, 0), (1, 1), (1, 256), (2, 0), (255, 0), (256, 0), (256, 9), (u64::MAX, 0)];
        let keys = keys.map(|(first, part)| Key { first: Seq(first), part });
        for key in keys {
            assert_eq!(Key::parse(key.bytes().as_ref()), Some(key));
        }
        assert!(keys.windows(2).all(|pair| pair[0].bytes().as_ref() < pair[1].bytes().as_ref()));
        assert_eq!(Key::parse(&[0; 10]), None);
        assert_eq!(Key::parse(&[0; 7]), None);
    }

    #[test]
    fn the_layout_is_pinned() {
        let key = Key { first: Seq(3), part: 0 };
        let header = Header { continues: true, count: 2, raw_bytes: 40, time: Timestamp(-1) };
        let mut value = Vec::new();
        let hash = seal(ChainHash::START, key, header, b"content", &mut value);
        let front = b"\x01\x01\x02\0\0\0\x28\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff";
        assert_eq!(value, [&front[..], &hash.0, b"content"].concat());
        let hashed = [&[0; 32], &3_u64.to_be_bytes()[..], front, b"content"].concat();
        assert_eq!(hash.0, *blake3::hash(&hashed).as_bytes());
        let block = Block::parse(key, &value).unwrap();
        assert_eq!((block.header, block.hash, block.content), (header, hash, &b"content"[..]));
        assert_eq!(block.hash_behind(ChainHash::START, key), hash);
        assert_ne!(block.hash_behind(ChainHash::START, Key::of(Seq(4))), hash);
    }

    #[test]
    fn a_value_that_is_no_block_says_why() {
        let key = Key::of(Seq(1));
        let header = Header { continues: false, count: 1, raw_bytes: 40, time: Timestamp(0) };
        let mut value = Vec::new();
        seal(ChainHash::START, key, header, b"", &mut value);
        assert!(Block::parse(key, &value).is_ok());
        assert!(Block::parse(key, &value[..49]).unwrap_err().contains("cut off"));
        assert!(Block::parse(Key { first: Seq(1), part: 1 }, &value).unwrap_err().contains("1 events"));
        assert!(Block::parse(Key::of(Seq(u64::MAX)), &value).unwrap_err().contains("cannot be"));
        for (at, byte, why) in
            [(0, 2, "codec 2"), (1, 2, "flags 2"), (2, 0, "0 events"), (9, 255, "cannot be")]
        {
            let mut other = value.clone();
            other[at] = byte;
            assert!(Block::parse(key, &other).unwrap_err().contains(why), "{why}");
        }
    }
}
