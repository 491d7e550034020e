//! How facts become bytes: an explicit kind number and a MessagePack map with named fields.
//!
//! Named maps let an old reader skip what a newer one wrote; arrays would break it. What passes with
//! every change has the places of its fields instead of their names (`hot`), which serde reads as
//! well, and which are passed over as well where they are not known. A kind number
//! is never used twice. A kind that is not known is kept as it came, never an error: the log of a
//! newer version can be read, and a newer partner understood as far as possible.

use std::io;

use serde::{Serialize, de::DeserializeOwned};

use crate::limits::{MSGPACK_DEPTH_MAX, MSGPACK_NODES_MAX};
use crate::msgpack::scan_msgpack;

mod hot;
mod read;
mod write;

pub(crate) use hot::ByHand;

/// Bytes that are not what their kind number says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} (kind {kind}) cannot be decoded: {reason}")]
pub struct DecodeError {
    /// The kind number in front of the bytes.
    pub kind: u16,
    /// The name of the kind.
    pub name: &'static str,
    /// What is wrong.
    pub reason: String,
}

/// Appends `body` as a named map.
pub(crate) fn encode_body<T: Serialize>(body: &T, out: &mut Vec<u8>) {
    let mut serializer = rmp_serde::Serializer::new(Appended(out)).with_struct_map();
    // Writing to memory cannot fail, and our types have no map of unknown length.
    #[expect(clippy::expect_used)]
    body.serialize(&mut serializer).expect("encoding into memory");
}

/// The same for a body that passes with every change.
pub(crate) fn encode_by_hand<T: Serialize + ByHand>(body: &T, out: &mut Vec<u8>) {
    if !body.write_by_hand(out) {
        encode_body(body, out);
    }
}

/// The same for a body that passes with every change. What is not as we write it goes the long way,
/// which says what is wrong.
pub(crate) fn decode_by_hand<T: DeserializeOwned + ByHand>(
    kind: u16,
    name: &'static str,
    bytes: &[u8],
) -> Result<T, DecodeError> {
    T::read_by_hand(bytes).map_or_else(|| decode_body(kind, name, bytes), Ok)
}

/// A buffer that is appended to. MessagePack is written in pieces of one byte or a few, and for a
/// plain vector each of them is a call.
struct Appended<'a>(&'a mut Vec<u8>);

impl io::Write for Appended<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match bytes {
            [byte] => self.0.push(*byte),
            _ => self.0.extend_from_slice(bytes),
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decodes a body that passed the scan of depth and count; serde alone would overflow the stack
/// on a nest of enums.
pub(crate) fn decode_body<T: DeserializeOwned>(
    kind: u16,
    name: &'static str,
    bytes: &[u8],
) -> Result<T, DecodeError> {
    let error = |reason: String| DecodeError { kind, name, reason };
    scan_msgpack(bytes, MSGPACK_DEPTH_MAX, MSGPACK_NODES_MAX).map_err(|e| error(e.to_string()))?;
    rmp_serde::from_slice(bytes).map_err(|e| error(e.to_string()))
}

/// Declares an enum of numbered kinds, each variant holding the struct of the same name. One that is
/// marked `by_hand` is written and read so.
macro_rules! numbered_kinds {
    (@encode $body:ident, $out:ident) => { $crate::codec::encode_body($body, $out) };
    (@encode $body:ident, $out:ident, by_hand) => { $crate::codec::encode_by_hand($body, $out) };
    (@decode $kind:ident, $name:ident, $bytes:ident) => {
        $crate::codec::decode_body($kind, stringify!($name), $bytes)
    };
    (@decode $kind:ident, $name:ident, $bytes:ident, by_hand) => {
        $crate::codec::decode_by_hand($kind, stringify!($name), $bytes)
    };
    ($(#[$doc:meta])* $enum:ident { $($number:literal $name:ident $($by_hand:ident)?,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $enum {
            $(
                #[doc = concat!("Kind ", stringify!($number), ".")]
                $name($name),
            )*
            /// A kind of a later version, kept as it came.
            Unknown {
                /// Its number.
                kind: u16,
                /// Its bytes.
                body: Vec<u8>,
            },
        }

        impl $enum {
            /// The explicit number of the kind.
            #[must_use]
            pub const fn kind(&self) -> u16 {
                match self {
                    $(Self::$name(_) => $number,)*
                    Self::Unknown { kind, .. } => *kind,
                }
            }

            /// The name of a kind number, `Unknown` if this version has none.
            #[must_use]
            pub const fn kind_name(kind: u16) -> &'static str {
                match kind {
                    $($number => stringify!($name),)*
                    _ => "Unknown",
                }
            }

            /// Appends the body, without the kind number.
            pub fn encode_body(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$name(body) => {
                        $crate::codec::numbered_kinds!(@encode body, out $(, $by_hand)?);
                    })*
                    Self::Unknown { body, .. } => out.extend_from_slice(body),
                }
            }

            /// Decodes a body of `kind`.
            ///
            /// # Errors
            /// The bytes are not a body of that kind, or nest too deep or hold too much.
            pub fn decode(kind: u16, bytes: &[u8]) -> Result<Self, $crate::codec::DecodeError> {
                Ok(match kind {
                    $($number => Self::$name(
                        $crate::codec::numbered_kinds!(@decode kind, $name, bytes $(, $by_hand)?)?
                    ),)*
                    _ => Self::Unknown { kind, body: bytes.to_vec() },
                })
            }

            /// The body for people and tools.
            #[must_use]
            pub fn to_json(&self) -> serde_json::Value {
                match self {
                    $(Self::$name(body) => serde_json::to_value(body).unwrap_or_default(),)*
                    Self::Unknown { body, .. } => serde_json::json!({ "bytes": body.len() }),
                }
            }
        }

        $(
            impl From<$name> for $enum {
                fn from(body: $name) -> Self {
                    Self::$name(body)
                }
            }
        )*
    };
}
pub(crate) use numbered_kinds;
