//! Frames: sealed by the sender, split cheaply, opened by the receiver.

use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use tieline_core::limits::FRAME_BODY_BYTES_MAX;

use super::{FrameError, FrameKey, SealError, zip};
use crate::limits::{FRAME_BYTES_MAX, FRAME_HEADER_BYTES_MAX, FRAME_OVERHEAD_BYTES};

const FRAME: u8 = b'T';
const VERSION: u8 = 1;
const COMPRESSED: u8 = 1;
const PREFIX_BYTES: usize = 5;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

const _: () = assert!(PREFIX_BYTES + NONCE_BYTES + TAG_BYTES == FRAME_OVERHEAD_BYTES);

/// Seals `header` and `body` into one frame. The body is compressed where that makes it smaller;
/// with an empty body the frame is a heartbeat.
///
/// # Errors
/// [`SealError::TooLarge`] for a header over [`FRAME_HEADER_BYTES_MAX`] or a body over
/// [`FRAME_BODY_BYTES_MAX`]; [`SealError::Entropy`].
pub fn seal_frame(key: &FrameKey, header: &[u8], body: &[u8]) -> Result<Vec<u8>, SealError> {
    seal(FRAME, &key.cipher, header, body)
}

/// Seals anything of the layout in the front page of this module's parent.
pub(super) fn seal(
    kind: u8,
    cipher: &XChaCha20Poly1305,
    header: &[u8],
    body: &[u8],
) -> Result<Vec<u8>, SealError> {
    let fits = |part, bytes, limit| {
        if bytes > limit { Err(SealError::TooLarge { part, bytes, limit }) } else { Ok(()) }
    };
    fits("header", header.len(), FRAME_HEADER_BYTES_MAX)?;
    fits("body", body.len(), FRAME_BODY_BYTES_MAX)?;
    let mut nonce = XNonce::default();
    getrandom::fill(&mut nonce).map_err(|_| SealError::Entropy)?;

    let mut out = Vec::with_capacity(FRAME_OVERHEAD_BYTES + header.len() + body.len());
    out.extend_from_slice(&[kind, VERSION, 0]);
    // Checked above: the limit fits two bytes.
    out.extend_from_slice(&(header.len() as u16).to_le_bytes());
    out.extend_from_slice(header);
    let clear = out.len();
    out.extend_from_slice(&nonce);
    if zip::append(body, &mut out) {
        out[2] |= COMPRESSED;
    }
    let (clear, sealed) = out.split_at_mut(clear);
    // The cipher refuses only what is larger than 256 GiB.
    #[expect(clippy::expect_used, reason = "the size is checked above")]
    let tag =
        cipher.encrypt_in_place_detached(&nonce, clear, &mut sealed[NONCE_BYTES..]).expect("at most 1 MiB");
    out.extend_from_slice(&tag);
    Ok(out)
}

/// A frame taken apart, not yet opened: nothing in it is proven.
#[derive(Debug, Clone, Copy)]
pub struct SealedFrame<'a> {
    /// The clear header: good for finding the key, for nothing else until the frame is opened.
    pub header: &'a [u8],
    clear: &'a [u8],
    nonce: &'a [u8; NONCE_BYTES],
    body: &'a [u8],
    tag: &'a [u8; TAG_BYTES],
}

/// Takes a frame apart. It looks at sizes and five bytes: no copy, no cryptography.
///
/// # Errors
/// [`FrameError::TooLarge`], [`FrameError::Truncated`] and [`FrameError::Version`].
pub fn split(bytes: &[u8]) -> Result<SealedFrame<'_>, FrameError> {
    split_kind(FRAME, bytes)
}

/// Takes apart what [`seal`] made with the same `kind`.
pub(super) fn split_kind(kind: u8, bytes: &[u8]) -> Result<SealedFrame<'_>, FrameError> {
    if bytes.len() > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge);
    }
    let ([first, version, flags, length @ ..], rest) =
        bytes.split_first_chunk::<PREFIX_BYTES>().ok_or(FrameError::Truncated)?;
    if *first != kind || *version != VERSION || flags & !COMPRESSED != 0 {
        return Err(FrameError::Version);
    }
    let length = usize::from(u16::from_le_bytes(*length));
    if length > FRAME_HEADER_BYTES_MAX {
        return Err(FrameError::TooLarge);
    }
    let (header, rest) = rest.split_at_checked(length).ok_or(FrameError::Truncated)?;
    let (nonce, rest) = rest.split_first_chunk().ok_or(FrameError::Truncated)?;
    let (body, tag) = rest.split_last_chunk().ok_or(FrameError::Truncated)?;
    let clear = bytes.get(..PREFIX_BYTES + length).ok_or(FrameError::Truncated)?;
    Ok(SealedFrame { header, clear, nonce, body, tag })
}

impl SealedFrame<'_> {
    /// Opens the frame: proves that the holder of `key` made this header and body, and returns the
    /// body, at most [`FRAME_BODY_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`FrameError::BadSeal`]; and, from a partner that has the key but not the rules,
    /// [`FrameError::TooLarge`] and [`FrameError::Decompress`].
    pub fn open(&self, key: &FrameKey) -> Result<Vec<u8>, FrameError> {
        self.open_with(&key.cipher)
    }

    pub(super) fn open_with(&self, cipher: &XChaCha20Poly1305) -> Result<Vec<u8>, FrameError> {
        let mut body = self.body.to_vec();
        cipher
            .decrypt_in_place_detached(
                XNonce::from_slice(self.nonce),
                self.clear,
                &mut body,
                Tag::from_slice(self.tag),
            )
            .map_err(|_| FrameError::BadSeal)?;
        let compressed = self.clear.get(2).is_some_and(|flags| flags & COMPRESSED != 0);
        let body = if compressed { zip::decompress(&body)? } else { body };
        if body.len() > FRAME_BODY_BYTES_MAX { Err(FrameError::TooLarge) } else { Ok(body) }
    }
}
