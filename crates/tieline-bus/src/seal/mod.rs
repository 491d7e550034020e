//! Sealing: what leaves an org can be read and made by its partner alone.
//!
//! **A frame** on the wire, little endian:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | `T` |
//! | 1 | format version, 1 |
//! | 1 | flags: bit 0 says that the body is compressed; all others are 0 |
//! | 2 | length of the header |
//! | … | header: clear, opaque to this crate |
//! | 24 | nonce, random |
//! | … | body: sealed with XChaCha20-Poly1305, with its tag of 16 bytes |
//!
//! Everything before the nonce is authenticated as associated data. A heartbeat is a frame with an
//! empty body: its tag alone authenticates the header.
//!
//! **A hello or welcome** has the same form with `H` or `W` in the first byte and the connection
//! id, 16 bytes big endian, as its header, so that the inviter finds the hash to open it with.
//!
//! **Keys** ([`DirectionKeys`], [`HandshakeKeys`]) bind the connection, the direction and both
//! orgs: a frame that is carried elsewhere does not open there. Nonces are 192 random bits, so a
//! restored org that seals the same positions again repeats none of them.
//!
//! A body is compressed before it is sealed, so its size says something about its content. An
//! eavesdropper on the broker sees sizes in any case; a partner who chooses part of a body gets
//! the rest of it as well, since only this partner's messages share a frame.

mod frame;
mod handshake;
mod key;
mod zip;

#[cfg(test)]
mod tests;

pub use frame::{SealedFrame, seal_frame, split};
pub use handshake::{HandshakeKeys, hello_connection};
pub use key::{DirectionKeys, FrameKey, WeakPublicKey};

/// Why a frame, hello or welcome is not taken. The code is stable: it is counted and logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FrameError {
    /// It ends before its parts do.
    #[error("The frame is truncated")]
    Truncated,
    /// It, its header or its decompressed body is larger than a frame may be.
    #[error("The frame is larger than a frame may be")]
    TooLarge,
    /// Another format, or not a frame at all.
    #[error("The frame has a format that this version does not know")]
    Version,
    /// Not sealed with this key, or altered since.
    #[error("The seal of the frame does not fit its key, header and body")]
    BadSeal,
    /// The seal is right but the body does not decompress: the partner made it so.
    #[error("The body of the frame does not decompress")]
    Decompress,
}

impl FrameError {
    /// The stable name of this error, for metrics and logs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::TooLarge => "too_large",
            Self::Version => "version",
            Self::BadSeal => "bad_seal",
            Self::Decompress => "decompress",
        }
    }
}

/// Why something could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The caller built something that no partner would take.
    #[error("The {part} has {bytes} bytes, more than the {limit} that a frame may carry")]
    TooLarge {
        /// `header` or `body`.
        part: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The operating system gave no randomness for a nonce.
    #[error("The operating system gave no randomness for a nonce")]
    Entropy,
}
