//! Compression of bodies: zstd level -2, with a bound on what comes out before it is made.

use std::cell::RefCell;
use std::io::Cursor;

use tieline_core::limits::FRAME_BODY_BYTES_MAX;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe;

use super::FrameError;

/// As for the log: half the CPU of level 1 for a fifth more of the bytes.
const LEVEL: i32 = -2;
/// A body below this is not worth a try: the frame of zstd alone has about 10 bytes.
const WORTH_BYTES_MIN: usize = 96;

thread_local! {
    // A context of zstd holds hundreds of KiB and costs more to make than a small body to
    // compress. One for each thread that seals or opens, instead of one for each connection,
    // bounds the memory.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = RefCell::new(Compressor::new(LEVEL).ok());
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = RefCell::new(Decompressor::new().ok());
}

/// Appends `body` to `out`, compressed if that makes it smaller; returns whether it did.
pub(super) fn append(body: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    if body.len() >= WORTH_BYTES_MIN && compress(body, out) && out.len() - start < body.len() {
        return true;
    }
    out.truncate(start);
    out.extend_from_slice(body);
    false
}

fn compress(body: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    out.reserve(zstd_safe::compress_bound(body.len()));
    let mut cursor = Cursor::new(std::mem::take(out));
    cursor.set_position(start as u64);
    let done = COMPRESSOR.with_borrow_mut(|zip| match zip {
        Some(zip) => zip.compress_to_buffer(body, &mut cursor).is_ok(),
        None => false,
    });
    *out = cursor.into_inner();
    done
}

/// Undoes [`append`]. The size that the data states is checked before anything is allocated, and
/// data that holds more than it states is refused.
pub(super) fn decompress(data: &[u8]) -> Result<Vec<u8>, FrameError> {
    let stated = zstd_safe::get_frame_content_size(data).ok().flatten().ok_or(FrameError::Decompress)?;
    let size = usize::try_from(stated).unwrap_or(usize::MAX);
    if size > FRAME_BODY_BYTES_MAX {
        return Err(FrameError::TooLarge);
    }
    let body =
        DECOMPRESSOR.with_borrow_mut(|zip| zip.as_mut().and_then(|zip| zip.decompress(data, size).ok()));
    body.filter(|body| body.len() == size).ok_or(FrameError::Decompress)
}
