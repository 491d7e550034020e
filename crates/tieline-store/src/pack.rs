//! Packing groups into blocks: as many whole groups as still compress into one.
//!
//! How much that is depends on the data, so the packer aims by the last block. A guess that turns
//! out too large is halved; a single group that does not fit is cut into parts.

use std::io;

use tieline_core::log::{Group, Head};
use tieline_core::{Seq, Timestamp};
use zstd::bulk::Compressor;

use crate::block::{self, CONTENT_BYTES_MAX, Header, Key};

/// Compressed bytes that a block is meant to have: under the limit, so that few guesses miss it.
const CONTENT_BYTES_AIM: usize = CONTENT_BYTES_MAX * 9 / 10;
/// Uncompressed bytes aimed at, at first and within what bounds. The upper one bounds what a
/// reader decompresses at once; 128 events of 300 bytes are in the middle.
const RAW_BYTES_START: usize = 24 * 1024;
const RAW_BYTES_MIN: usize = 4 * 1024;
const RAW_BYTES_MAX: usize = 128 * 1024;
/// It finds the repeated names and values and leaves single letters as they are: level 1 takes twice
/// the CPU and saves a fifth of the bytes.
const ZSTD_LEVEL: i32 = -2;

/// Keeps the compressor and its buffers from block to block.
pub(crate) struct Packer {
    zstd: Compressor<'static>,
    raw: Vec<u8>,
    packed: Vec<u8>,
    value: Vec<u8>,
    raw_aim: usize,
}

/// Why groups could not be packed: the compressor, or whoever takes the blocks.
#[derive(Debug)]
pub(crate) enum PackError<E> {
    Compress(io::Error),
    Put(E),
}

impl Packer {
    pub(crate) fn new() -> io::Result<Self> {
        let zstd = Compressor::new(ZSTD_LEVEL)?;
        let (raw, packed, value) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { zstd, raw, packed, value, raw_aim: RAW_BYTES_START })
    }

    /// Packs `groups` behind `head`, hands each block to `put`, and returns the new head. The last
    /// block ends with the last group.
    pub(crate) fn pack<E>(
        &mut self,
        mut head: Head,
        groups: &[Group],
        mut put: impl FnMut(Key, &[u8]) -> Result<(), E>,
    ) -> Result<Head, PackError<E>> {
        let mut rest = groups;
        while !rest.is_empty() {
            let count = self.compress_what_fits(rest).map_err(PackError::Compress)?;
            let (now, later) = rest.split_at(count);
            head = self.put_blocks(head, now, &mut put).map_err(PackError::Put)?;
            rest = later;
        }
        Ok(head)
    }

    /// Compresses the first groups and returns how many: they fit one block, or it is one group.
    fn compress_what_fits(&mut self, groups: &[Group]) -> io::Result<usize> {
        let mut sizes = groups.iter().scan(0, |sum, group| {
            *sum += group.bytes().len();
            Some(*sum)
        });
        let mut count = sizes.position(|sum| sum > self.raw_aim).unwrap_or(groups.len()).max(1);
        loop {
            self.compress(groups.get(..count).unwrap_or_default())?;
            let (raw, packed) = (self.raw.len(), self.packed.len());
            if count > 1 || packed <= CONTENT_BYTES_MAX {
                let aim = raw * CONTENT_BYTES_AIM / packed.max(1);
                // A block that is small compresses worse than a full one: it may raise the aim,
                // and lowers it only if it was full.
                if packed > CONTENT_BYTES_AIM || aim > self.raw_aim {
                    self.raw_aim = aim.clamp(RAW_BYTES_MIN, RAW_BYTES_MAX);
                }
            }
            if packed <= CONTENT_BYTES_MAX || count == 1 {
                return Ok(count);
            }
            count /= 2;
        }
    }

    fn compress(&mut self, groups: &[Group]) -> io::Result<()> {
        self.raw.clear();
        for group in groups {
            self.raw.extend_from_slice(group.bytes());
        }
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(self.raw.len()));
        self.zstd.compress_to_buffer(&self.raw, &mut self.packed)?;
        Ok(())
    }

    /// Seals what was compressed: one block, or the parts of one group.
    fn put_blocks<E>(
        &mut self,
        head: Head,
        groups: &[Group],
        put: &mut impl FnMut(Key, &[u8]) -> Result<(), E>,
    ) -> Result<Head, E> {
        let first = head.seq.next();
        let count: usize = groups.iter().map(Group::len).sum();
        let time = groups.first().map_or_else(Timestamp::default, Group::time);
        let mut hash = head.hash;
        let parts = self.packed.chunks(CONTENT_BYTES_MAX);
        let last_part = parts.len() - 1;
        for (part, content) in parts.enumerate() {
            let key = Key { first, part: part as u16 };
            let continues = part < last_part;
            let header = if part == 0 {
                Header { continues, count: count as u32, raw_bytes: self.raw.len() as u32, time }
            } else {
                Header { continues, count: 0, raw_bytes: 0, time }
            };
            hash = block::seal(hash, key, header, content, &mut self.value);
            put(key, &self.value)?;
        }
        Ok(Head { seq: Seq(head.seq.0 + count as u64), hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{BLOCK_BYTES_MAX, Block};

    /// Bytes that do not compress, different for each `seed`.
    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    fn group(body: &[u8]) -> Group {
        let mut group = Group::new(Timestamp(1));
        group.push(1, body);
        group
    }

    fn pack(groups: &[Group]) -> Vec<(Key, Header, usize)> {
        let mut blocks = Vec::new();
        let head = Packer::new().unwrap().pack(Head::START, groups, |key, value| {
            let header = Block::parse(key, value).unwrap().header;
            blocks.push((key, header, value.len()));
            Ok::<_, ()>(())
        });
        let events: usize = groups.iter().map(Group::len).sum();
        assert_eq!(head.unwrap().seq, Seq(events as u64));
        assert!(blocks.iter().all(|block| block.2 <= BLOCK_BYTES_MAX));
        blocks
    }

    #[test]
    fn blocks_become_full_whatever_the_data() {
        let like_records = |n: u64| {
            let text = format!("LastName=Miller {n} Company=Universal Telco Status=Open {}", n * 7919);
            group(&text.repeat(4).into_bytes())
        };
        let cases: [(&str, Vec<Group>); 3] = [
            ("noise", (0..2000).map(|n| group(&noise(n, 300))).collect()),
            ("records", (0..4000).map(like_records).collect()),
            ("zeros", (0..4000).map(|_| group(&[0; 300])).collect()),
        ];
        for (name, groups) in cases {
            let blocks = pack(&groups);
            // The first blocks find the aim, the last one takes what is left.
            let middle = &blocks[blocks.len().min(6)..blocks.len() - 1];
            let full = |block: &&(Key, Header, usize)| {
                block.2 >= BLOCK_BYTES_MAX * 7 / 10 || block.1.raw_bytes as usize >= RAW_BYTES_MAX * 9 / 10
            };
            assert!(middle.iter().filter(full).count() * 10 >= middle.len() * 9, "{name}: {middle:?}");
            assert!(blocks.iter().all(|block| !block.1.continues), "{name}");
        }
    }

    #[test]
    fn a_group_that_does_not_fit_has_blocks_of_its_own() {
        let groups = [group(b"before"), group(&noise(1, 20_000)), group(b"after")];
        let shape: Vec<_> = pack(&groups)
            .iter()
            .map(|(key, header, _)| (key.first.0, key.part, header.count, header.continues))
            .collect();
        assert_eq!(
            shape,
            [(1, 0, 1, false), (2, 0, 1, true), (2, 1, 0, true), (2, 2, 0, false), (3, 0, 1, false)]
        );
    }
}
