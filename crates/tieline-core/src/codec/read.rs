//! MessagePack read as it was written by hand, borrowing from its bytes.
//!
//! Every reader gives nothing where it meets anything but what `write` writes: then the bytes are for
//! the scan and for serde, which take every form and say what is wrong. Nothing here recurses, and
//! nothing is allocated by what a length claims.

use crate::{ConnectionId, FieldName, ObjectName, Owner, RecordId, ShareId, UserName};

/// What is left to be read.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether everything was read.
    pub(super) const fn is_at_end(self) -> bool {
        self.0.is_empty()
    }

    /// The first byte of the next value.
    pub(super) const fn peek(self) -> Option<u8> {
        self.0.first().copied()
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// How many entries the map has that begins here.
    pub(super) fn map(&mut self) -> Option<usize> {
        match self.byte()? {
            short @ 0x80..=0x8f => Some(usize::from(short & 0x0f)),
            0xde => Some(usize::from(u16::from_be_bytes(self.array()?))),
            _ => None,
        }
    }

    /// How many values the list has that begins here.
    pub(super) fn list(&mut self) -> Option<usize> {
        match self.byte()? {
            short @ 0x90..=0x9f => Some(usize::from(short & 0x0f)),
            0xdc => Some(usize::from(u16::from_be_bytes(self.array()?))),
            _ => None,
        }
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let len = match self.byte()? {
            short @ 0xa0..=0xbf => usize::from(short & 0x1f),
            0xd9 => usize::from(self.byte()?),
            0xda => usize::from(u16::from_be_bytes(self.array()?)),
            0xdb => u32::from_be_bytes(self.array()?) as usize,
            _ => return None,
        };
        std::str::from_utf8(self.slice(len)?).ok()
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = match self.byte()? {
            0xc4 => usize::from(self.byte()?),
            0xc5 => usize::from(u16::from_be_bytes(self.array()?)),
            0xc6 => u32::from_be_bytes(self.array()?) as usize,
            _ => return None,
        };
        self.slice(len)
    }

    /// A number that is not negative.
    pub(super) fn unsigned(&mut self) -> Option<u64> {
        match self.byte()? {
            small @ 0..=0x7f => Some(u64::from(small)),
            0xcc => Some(u64::from(self.byte()?)),
            0xcd => Some(u64::from(u16::from_be_bytes(self.array()?))),
            0xce => Some(u64::from(u32::from_be_bytes(self.array()?))),
            0xcf => Some(u64::from_be_bytes(self.array()?)),
            _ => None,
        }
    }

    pub(super) fn signed(&mut self) -> Option<i64> {
        match self.peek()? {
            small @ 0xe0.. => {
                self.byte()?;
                Some(i64::from(small as i8))
            }
            0xd0 => Some(i64::from(i8::from_be_bytes(self.behind()?))),
            0xd1 => Some(i64::from(i16::from_be_bytes(self.behind()?))),
            0xd2 => Some(i64::from(i32::from_be_bytes(self.behind()?))),
            0xd3 => Some(i64::from_be_bytes(self.behind()?)),
            _ => i64::try_from(self.unsigned()?).ok(),
        }
    }

    /// The bytes behind a first byte that was looked at.
    fn behind<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.byte()?;
        self.array()
    }

    pub(super) fn boolean(&mut self) -> Option<bool> {
        match self.byte()? {
            0xc2 => Some(false),
            0xc3 => Some(true),
            _ => None,
        }
    }

    pub(super) fn nil(&mut self) -> Option<()> {
        (self.byte()? == 0xc0).then_some(())
    }

    fn id(&mut self) -> Option<u128> {
        (self.array()? == [0xc4, 16]).then_some(())?;
        Some(u128::from_be_bytes(self.array()?))
    }

    /// Passes over what a field is called, if it is this one: its place in its type, or its name, a
    /// text of less than 32 bytes.
    #[inline]
    pub(super) fn is_at(&mut self, place: u8, name: &str) -> bool {
        let Some((head, rest)) = self.0.split_first() else { return false };
        if *head == place {
            self.0 = rest;
            return true;
        }
        if *head != 0xa0 | name.len() as u8 {
            return false;
        }
        let Some(rest) = rest.strip_prefix(name.as_bytes()) else { return false };
        self.0 = rest;
        true
    }

    /// The value of the field that has to stand here.
    #[inline]
    pub(super) fn field<T: Read<'a>>(&mut self, place: u8, name: &str) -> Option<T> {
        if self.is_at(place, name) { T::read(self) } else { None }
    }

    /// The value of a field that may stand here; it counts as one of the `left` entries of its map.
    /// Nothing at all if it stands here and cannot be read.
    #[inline]
    pub(super) fn optional<T: Read<'a>>(
        &mut self,
        place: u8,
        name: &str,
        left: &mut usize,
    ) -> Option<Option<T>> {
        if *left == 0 || !self.is_at(place, name) {
            return Some(None);
        }
        *left -= 1;
        Some(Some(T::read(self)?))
    }
}

/// What is read in one way wherever it stands.
pub(super) trait Read<'a>: Sized {
    fn read(from: &mut Reader<'a>) -> Option<Self>;
}

macro_rules! read_as {
    ($($type:ty => |$from:ident| $read:expr;)*) => {
        $(impl<'a> Read<'a> for $type {
            #[inline]
            fn read($from: &mut Reader<'a>) -> Option<Self> {
                $read
            }
        })*
    };
}
read_as! {
    u8 => |from| u8::try_from(from.unsigned()?).ok();
    u16 => |from| u16::try_from(from.unsigned()?).ok();
    u32 => |from| u32::try_from(from.unsigned()?).ok();
    u64 => |from| from.unsigned();
    i64 => |from| from.signed();
    &'a [u8] => |from| from.bytes();
    ConnectionId => |from| from.id().map(Self);
    ShareId => |from| from.id().map(Self);
    RecordId => |from| from.id().map(Self);
    FieldName => |from| from.text()?.parse().ok();
    ObjectName => |from| from.text()?.parse().ok();
    UserName => |from| from.text()?.parse().ok();
    Owner => |from| from.text()?.parse().ok();
}
