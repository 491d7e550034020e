//! Walking the chain: every block must be the next one, have the hash it claims, and decode.
//!
//! Reading, verifying, exporting and importing all go through [`Walk`]; nobody takes a block from
//! the disk in another way. A hash is compared before anything is decompressed.

use std::cell::RefCell;
use std::sync::Arc;

use tieline_core::Seq;
use tieline_core::log::{ChainHash, Group, Groups, Head};
use zstd::bulk::Decompressor;

use crate::block::{Block, Key};
use crate::error::{Broken, Fault};

/// A position in the chain, behind a block whose hash is taken as right.
#[derive(Debug)]
pub(crate) struct Walk {
    head: Head,
    next: Key,
    hash: ChainHash,
    blocks: u64,
    // The large group of which parts have come.
    packed: Vec<u8>,
    raw_bytes: usize,
    last: Seq,
}

impl Walk {
    /// Starts behind `head`.
    pub(crate) fn behind(head: Head) -> Self {
        Self {
            head,
            next: Key::of(head.seq.next()),
            hash: head.hash,
            blocks: 0,
            packed: Vec::new(),
            raw_bytes: 0,
            last: head.seq,
        }
    }

    /// The last event of the last whole group, and the hash there.
    pub(crate) fn head(&self) -> Head {
        self.head
    }

    /// Where the next block must lie.
    pub(crate) fn next(&self) -> Key {
        self.next
    }

    /// Blocks that were walked.
    pub(crate) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Takes the next block. Returns whether groups are complete with it; then they are appended
    /// to `raw`.
    pub(crate) fn step(&mut self, key: &[u8], value: &[u8], raw: &mut Vec<u8>) -> Result<bool, Broken> {
        let next = self.next;
        let at =
            Key::parse(key).ok_or_else(|| self.broken(next.first, Fault::undecodable("its key is none")))?;
        if at != next {
            // A later part of the same group, or the next group, lies where `next` should.
            let last = if at.first == next.first { self.last } else { Seq(at.first.0.saturating_sub(1)) };
            return Err(self.broken(last, Fault::Missing));
        }
        let block =
            Block::parse(at, value).map_err(|why| self.broken(next.first, Fault::undecodable(why)))?;
        if at.part == 0 {
            self.last = Seq(self.head.seq.0 + u64::from(block.header.count));
            self.raw_bytes = block.header.raw_bytes as usize;
        }
        let expected = block.hash_behind(self.hash, at);
        if expected != block.hash {
            return Err(self.broken(self.last, Fault::BadHash { expected, actual: block.hash }));
        }
        self.hash = block.hash;
        self.blocks += 1;
        self.collect(at, &block, raw).map_err(|why| self.broken(self.last, Fault::undecodable(why)))
    }

    fn collect(&mut self, at: Key, block: &Block<'_>, raw: &mut Vec<u8>) -> Result<bool, String> {
        if block.header.continues {
            self.packed.extend_from_slice(block.content);
            let part = at.part.checked_add(1).ok_or("the group has more parts than can be")?;
            self.next = Key { first: at.first, part };
            return Ok(false);
        }
        if at.part == 0 {
            decompress(block.content, self.raw_bytes, raw)?;
        } else {
            self.packed.extend_from_slice(block.content);
            decompress(&self.packed, self.raw_bytes, raw)?;
            self.packed.clear();
        }
        self.head = Head { seq: self.last, hash: self.hash };
        self.next = Key::of(self.last.next());
        Ok(true)
    }

    fn broken(&self, last: Seq, fault: Fault) -> Broken {
        Broken { first: self.next.first, last, part: self.next.part, fault }
    }

    /// The error for a range that ends before the next block, although the log reaches to `last`.
    pub(crate) fn ended(&self, last: Seq) -> Broken {
        self.broken(last, Fault::Missing)
    }

    /// The error for a next block that sled cannot read.
    pub(crate) fn unreadable(&self, source: sled::Error) -> Broken {
        self.broken(self.next.first, Fault::Unreadable(Arc::new(source)))
    }

    /// The groups that steps appended to `raw`, which must be those from `first` to just before
    /// `next`.
    pub(crate) fn groups(first: Seq, next: Seq, raw: Vec<u8>) -> Result<Groups, Broken> {
        let malformed = |first, why: String| {
            let last = Seq(next.0.saturating_sub(1));
            Broken { first, last, part: 0, fault: Fault::Undecodable(why) }
        };
        match Groups::parse(first, raw) {
            Ok(groups) if groups.next_seq() == next => Ok(groups),
            Ok(groups) => Err(malformed(first, format!("its groups end before seq {}", groups.next_seq()))),
            Err(error) => Err(malformed(error.at, error.to_string())),
        }
    }

    /// Takes the next block as [`Walk::step`] does and checks its groups, too. `raw` must be empty
    /// between groups.
    pub(crate) fn check(&mut self, key: &[u8], value: &[u8], raw: &mut Vec<u8>) -> Result<(), Broken> {
        let first = self.head.seq.next();
        if self.step(key, value, raw)? {
            let groups = Self::groups(first, self.head.seq.next(), std::mem::take(raw))?;
            *raw = groups.into_buffer();
        }
        Ok(())
    }
}

/// Appends the `raw_bytes` bytes that `packed` stands for to `raw`.
fn decompress(packed: &[u8], raw_bytes: usize, raw: &mut Vec<u8>) -> Result<(), String> {
    thread_local! {
        // A decompressor costs more to make than a block to decompress.
        static ZSTD: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }
    if raw_bytes > Group::BYTES_MAX {
        return Err(format!("it claims {raw_bytes} bytes"));
    }
    let start = raw.len();
    raw.resize(start + raw_bytes, 0);
    let written = ZSTD.with_borrow_mut(|zstd| {
        let zstd = match zstd {
            Some(zstd) => zstd,
            None => zstd.insert(Decompressor::new()?),
        };
        zstd.decompress_to_buffer(packed, raw.get_mut(start..).unwrap_or_default())
    });
    match written {
        Ok(written) if written == raw_bytes => Ok(()),
        Ok(written) => Err(format!("it decompresses to {written} bytes instead of {raw_bytes}")),
        Err(error) => Err(format!("it does not decompress: {error}")),
    }
}
