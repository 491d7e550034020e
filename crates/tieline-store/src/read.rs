//! Reading the log, from any thread, while the writer appends.
//!
//! A reader never sees a block before it is durable: it reads up to the head that the writer sets
//! after each sync. It checks the chain as it goes, and a broken or missing block is an error that
//! names it, never a gap.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tieline_core::Seq;
use tieline_core::log::{ChainHash, Groups, Head, StoredEventBuf};

use crate::Config;
use crate::block::{Block, Key};
use crate::error::{Broken, Fault, OpenError, ReadError};
use crate::open;
use crate::place::Place;
use crate::walk::Walk;

/// What writer and readers of one log share. The order counts: sled is closed before the lock of
/// the directory is given back.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) blocks: sled::Db,
    durable: Mutex<Head>,
    pub(crate) place: Place,
}

impl Shared {
    pub(crate) fn new(blocks: sled::Db, durable: Head, place: Place) -> Self {
        Self { blocks, durable: Mutex::new(durable), place }
    }

    pub(crate) fn durable(&self) -> Head {
        *self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_durable(&self, head: Head) {
        *self.durable.lock().unwrap_or_else(PoisonError::into_inner) = head;
    }

    fn error(&self, broken: Broken) -> ReadError {
        ReadError { dir: self.place.dir.clone(), broken }
    }
}

/// Reads a log. Cheap to clone; each clone can be used by another thread.
///
/// As long as a reader lives the log stays open, and nobody else can open it.
#[derive(Debug, Clone)]
pub struct LogReader {
    pub(crate) shared: Arc<Shared>,
}

impl LogReader {
    /// Opens a log that no daemon uses, to read it as it is, damaged or not: an unfinished group at
    /// its end is passed over, and the sentinel is not asked. Only what keeps sled from opening is
    /// healed.
    ///
    /// # Errors
    /// There is no log, it is in use, or sled cannot open it.
    pub fn open(config: &Config) -> Result<Self, OpenError> {
        let place = Place::lock(&config.dir, false)?;
        let (blocks, _) = open::open_sled(config, &place)?;
        let head = match open::tail(&blocks) {
            Ok(tail) => tail.head,
            // Reading goes as far as it can, and then names this block.
            Err(broken) => Head { seq: broken.last, hash: ChainHash::START },
        };
        Ok(Self { shared: Arc::new(Shared::new(blocks, head, place)) })
    }

    /// The last durable event, and the chain hash there.
    #[must_use]
    pub fn head(&self) -> Head {
        self.shared.durable()
    }

    /// The directory of the log.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.shared.place.dir
    }

    /// Reads whole groups from the one that holds `from` on, as [`Log::read_from`] says; the bound
    /// is checked after each block. For steady reading a [`Cursor`] is cheaper.
    ///
    /// [`Log::read_from`]: tieline_core::log::Log::read_from
    ///
    /// # Errors
    /// A block is missing or broken.
    pub fn read_from(&self, from: Seq, max_bytes: usize) -> Result<Groups, ReadError> {
        let mut cursor = self.cursor(from);
        let mut raw = Vec::new();
        let mut first = None;
        while cursor.step(&mut raw, &mut first)? && raw.len() < max_bytes {}
        let first = first.unwrap_or(cursor.from);
        let groups = Walk::groups(first, cursor.from, raw).map_err(|broken| self.shared.error(broken))?;
        Ok(groups.skip_to(from))
    }

    /// Reads the event `seq`, if it is durable.
    ///
    /// # Errors
    /// Its block is missing or broken.
    pub fn event(&self, seq: Seq) -> Result<Option<StoredEventBuf>, ReadError> {
        Ok(self.read_from(seq, 0)?.event(seq).map(|event| event.to_buf()))
    }

    /// A place to read on from, block by block, which can wait at the end for more.
    #[must_use]
    pub fn cursor(&self, from: Seq) -> Cursor {
        Cursor {
            shared: Arc::clone(&self.shared),
            from: from.max(Seq(1)),
            walk: None,
            range: None,
            durable: Seq(0),
            groups: Groups::empty(from),
        }
    }
}

/// A position in the log from which one reads on, with its buffer.
pub struct Cursor {
    shared: Arc<Shared>,
    // The next event to be read.
    from: Seq,
    // None until the block that holds `from` was looked up.
    walk: Option<Walk>,
    // The blocks up to `durable`. A range is never read further: sled may have looked ahead to a
    // page before the writer filled it.
    range: Option<sled::Iter>,
    durable: Seq,
    groups: Groups,
}

impl std::fmt::Debug for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor").field("from", &self.from).field("walk", &self.walk).finish_non_exhaustive()
    }
}

impl Cursor {
    /// The next event that will be read.
    #[must_use]
    pub fn next_seq(&self) -> Seq {
        self.from
    }

    /// Reads the next block: the groups in it (the first time from the group on that holds the
    /// seq asked for), or `None` if nothing more is durable yet.
    ///
    /// # Errors
    /// The next block is missing or broken; asking again gives the same error.
    pub fn next_groups(&mut self) -> Result<Option<&Groups>, ReadError> {
        let from = self.from;
        let mut raw = std::mem::replace(&mut self.groups, Groups::empty(from)).into_buffer();
        let mut first = None;
        self.step(&mut raw, &mut first)?;
        let Some(first) = first else { return Ok(None) };
        let groups = Walk::groups(first, self.from, raw).map_err(|broken| {
            self.give_up(from);
            self.shared.error(broken)
        })?;
        self.groups = groups.skip_to(from);
        Ok(Some(&self.groups))
    }

    /// Blocks that this cursor has read.
    pub(crate) fn blocks(&self) -> u64 {
        self.walk.as_ref().map_or(0, Walk::blocks)
    }

    /// The last event that was read, and the hash there.
    pub(crate) fn head(&self) -> Option<Head> {
        self.walk.as_ref().map(Walk::head)
    }

    /// Appends the groups of the next block to `raw`, and sets `first` to their first seq if it is
    /// not set yet. Returns false at the end.
    fn step(&mut self, raw: &mut Vec<u8>, first: &mut Option<Seq>) -> Result<bool, ReadError> {
        let from = self.from;
        self.try_step(raw, first).map_err(|broken| {
            self.give_up(from);
            self.shared.error(broken)
        })
    }

    fn try_step(&mut self, raw: &mut Vec<u8>, first: &mut Option<Seq>) -> Result<bool, Broken> {
        if self.from > self.durable {
            self.durable = self.shared.durable().seq;
            self.range = None;
        }
        if self.from > self.durable {
            return Ok(false);
        }
        let walk = match self.walk.take() {
            Some(walk) => walk,
            None => Walk::behind(head_before(&self.shared.blocks, self.from, self.durable)?),
        };
        let walk = self.walk.insert(walk);
        let begin = walk.head().seq.next();
        let range = self.range.get_or_insert_with(|| self.shared.blocks.range(walk.next().bytes()..));
        loop {
            let (key, value) = match range.next() {
                Some(Ok(entry)) => entry,
                Some(Err(error)) => return Err(walk.unreadable(error)),
                None => return Err(walk.ended(self.durable)),
            };
            if walk.step(&key, &value, raw)? {
                first.get_or_insert(begin);
                self.from = walk.head().seq.next();
                return Ok(true);
            }
        }
    }

    /// After an error: the next try begins with the same event.
    fn give_up(&mut self, from: Seq) {
        self.from = from;
        self.walk = None;
        self.range = None;
    }
}

/// A block, or the parts of a large group.
#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) first: Seq,
    pub(crate) last: Seq,
    /// The hash of its last part that is there.
    pub(crate) hash: ChainHash,
    /// Whether its last part is there.
    pub(crate) whole: bool,
}

/// The last block or large group that begins before `before`. Its hash is not checked.
pub(crate) fn span_before(blocks: &sled::Tree, before: Seq) -> Result<Option<Span>, Broken> {
    let broken = |at: Key, fault| Broken { first: at.first, last: at.first, part: at.part, fault };
    let just_before = Key::of(Seq(before.0.saturating_sub(1)));
    let unreadable = |error| broken(just_before, Fault::Unreadable(Arc::new(error)));
    let Some((key, value)) = blocks.get_lt(Key::of(before).bytes()).map_err(unreadable)? else {
        return Ok(None);
    };
    let key = Key::parse(&key).ok_or_else(|| broken(just_before, Fault::undecodable("its key is none")))?;
    let end = Block::parse(key, &value).map_err(|why| broken(key, Fault::Undecodable(why)))?;
    let begin = Key::of(key.first);
    let count = if key == begin {
        end.header.count
    } else {
        let value = blocks.get(begin.bytes()).map_err(unreadable)?;
        let value = value.ok_or_else(|| broken(begin, Fault::Missing))?;
        let block = Block::parse(begin, &value).map_err(|why| broken(begin, Fault::Undecodable(why)))?;
        block.header.count
    };
    let last = Seq(key.first.0.saturating_add(u64::from(count)).saturating_sub(1));
    Ok(Some(Span { first: key.first, last, hash: end.hash, whole: !end.header.continues }))
}

/// The head behind which the block lies that holds `seq`, in a log that reaches to `durable`.
fn head_before(blocks: &sled::Tree, seq: Seq, durable: Seq) -> Result<Head, Broken> {
    let missing = |first: Seq, last: Seq| Broken { first, last, part: 0, fault: Fault::Missing };
    let holder = span_before(blocks, seq.next())?;
    let Some(holder) = holder.filter(|span| span.last >= seq) else {
        let next = blocks.get_gt(Key::of(seq).bytes()).ok().flatten().and_then(|(key, _)| Key::parse(&key));
        return Err(missing(seq, next.map_or(durable, |next| Seq(next.first.0 - 1))));
    };
    if holder.first == Seq(1) {
        return Ok(Head::START);
    }
    match span_before(blocks, holder.first)? {
        Some(span) if span.whole && span.last.next() == holder.first => {
            Ok(Head { seq: span.last, hash: span.hash })
        }
        span => {
            let first = span.map_or(Seq(1), |span| if span.whole { span.last.next() } else { span.first });
            Err(missing(first, Seq(holder.first.0 - 1)))
        }
    }
}
