//! MessagePack as `rmp-serde` writes it, straight into a buffer: for bodies written by hand.
//!
//! Every number takes its shortest form and every length its shortest head, as there. A head and
//! what follows it are appended in one piece, so that a field costs one look at the room.

use crate::{ConnectionId, FieldName, ObjectName, Owner, RecordId, ShareId, UserName};

/// A map of so many entries follows.
#[inline]
pub(super) fn map(out: &mut Vec<u8>, entries: usize) {
    head(out, entries, 0x80, 15, [0xde, 0xdf]);
}

/// A list of so many values follows.
#[inline]
pub(super) fn list(out: &mut Vec<u8>, values: usize) {
    head(out, values, 0x90, 15, [0xdc, 0xdd]);
}

/// The head of a container: its length in the first byte if it fits, else in two or four more.
#[inline]
fn head(out: &mut Vec<u8>, len: usize, short: u8, short_max: usize, long: [u8; 2]) {
    if len <= short_max {
        out.push(short | len as u8);
    } else if let Ok(len) = u16::try_from(len) {
        out.push(long[0]);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(long[1]);
        out.extend_from_slice(&(len as u32).to_be_bytes());
    }
}

/// A text.
#[inline]
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    match text.len() {
        len @ ..32 => out.push(0xa0 | len as u8),
        len @ 32..256 => out.extend_from_slice(&[0xd9, len as u8]),
        len => head(out, len, 0, 0, [0xda, 0xdb]),
    }
    out.extend_from_slice(text.as_bytes());
}

/// Bytes.
#[inline]
pub(super) fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        len @ ..256 => out.extend_from_slice(&[0xc4, len as u8]),
        len => head(out, len, 0, 0, [0xc5, 0xc6]),
    }
    out.extend_from_slice(bytes);
}

/// A number that is not negative.
#[inline]
pub(super) fn unsigned(out: &mut Vec<u8>, number: u64) {
    match number {
        ..0x80 => out.push(number as u8),
        0x80..0x100 => out.extend_from_slice(&[0xcc, number as u8]),
        0x100..0x1_0000 => tagged(out, 0xcd, (number as u16).to_be_bytes()),
        0x1_0000..0x1_0000_0000 => tagged(out, 0xce, (number as u32).to_be_bytes()),
        _ => tagged(out, 0xcf, number.to_be_bytes()),
    }
}

/// A number.
#[inline]
pub(super) fn signed(out: &mut Vec<u8>, number: i64) {
    match number {
        0.. => unsigned(out, number.unsigned_abs()),
        -0x20.. => out.push(number as u8),
        -0x80.. => out.extend_from_slice(&[0xd0, number as u8]),
        -0x8000.. => tagged(out, 0xd1, (number as i16).to_be_bytes()),
        -0x8000_0000.. => tagged(out, 0xd2, (number as i32).to_be_bytes()),
        _ => tagged(out, 0xd3, number.to_be_bytes()),
    }
}

#[inline]
fn tagged<const N: usize>(out: &mut Vec<u8>, tag: u8, number: [u8; N]) {
    out.push(tag);
    out.extend_from_slice(&number);
}

/// No value.
#[inline]
pub(super) fn nil(out: &mut Vec<u8>) {
    out.push(0xc0);
}

/// Yes or no.
#[inline]
pub(super) fn boolean(out: &mut Vec<u8>, truth: bool) {
    out.push(0xc2 | u8::from(truth));
}

/// The 16 bytes of an id.
#[inline]
fn id(out: &mut Vec<u8>, id: u128) {
    let mut piece = [0; 18];
    piece[..2].copy_from_slice(&[0xc4, 16]);
    piece[2..].copy_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&piece);
}

/// What is written in one way wherever it stands.
pub(super) trait Write {
    fn write(&self, out: &mut Vec<u8>);
}

macro_rules! write_as {
    ($($type:ident => |$out:ident, $this:ident| $write:expr;)*) => {
        $(impl Write for $type {
            #[inline]
            fn write(&self, $out: &mut Vec<u8>) {
                let $this = self;
                $write;
            }
        })*
    };
}
write_as! {
    u8 => |out, n| unsigned(out, u64::from(*n));
    u16 => |out, n| unsigned(out, u64::from(*n));
    u32 => |out, n| unsigned(out, u64::from(*n));
    u64 => |out, n| unsigned(out, *n);
    i64 => |out, n| signed(out, *n);
    ConnectionId => |out, it| id(out, it.0);
    ShareId => |out, it| id(out, it.0);
    RecordId => |out, it| id(out, it.0);
    FieldName => |out, name| text(out, name.as_str());
    ObjectName => |out, name| text(out, name.as_str());
    UserName => |out, name| text(out, name.as_str());
}

impl Write for Owner {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::User(user) => user.write(out),
            Self::Queue(_) => text(out, &self.to_string()),
        }
    }
}

/// What a field is called in a body: its place in its type, counted from zero.
#[inline]
pub(super) fn key(out: &mut Vec<u8>, place: u8) {
    debug_assert!(place < 0x80, "one byte");
    out.push(place);
}

/// A field of a body: its place, and its value.
#[inline]
pub(super) fn field(out: &mut Vec<u8>, place: u8, value: &(impl Write + ?Sized)) {
    key(out, place);
    value.write(out);
}
