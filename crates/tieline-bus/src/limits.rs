//! What the wire may carry, with units. The limits of content are in `tieline_core::limits`.
//!
//! Each size is checked before the bytes that it bounds are decoded. The relations between limits
//! are asserted when this file is compiled.

use tieline_core::limits::{FRAME_BODY_BYTES_MAX, WINDOW_BYTES_MAX};

/// Most bytes of the clear header of a frame: it holds a fixed set of numbers and two org names.
pub const FRAME_HEADER_BYTES_MAX: usize = 4 * 1024;
/// What sealing adds to header and body: prefix, nonce and tag.
pub const FRAME_OVERHEAD_BYTES: usize = 5 + 24 + 16;
/// Most bytes of one sealed frame. A body that does not compress travels as it is.
pub const FRAME_BYTES_MAX: usize = FRAME_BODY_BYTES_MAX + FRAME_HEADER_BYTES_MAX + FRAME_OVERHEAD_BYTES;
/// Most bytes of a heartbeat: a frame without a body.
pub const HEARTBEAT_BYTES_MAX: usize = FRAME_HEADER_BYTES_MAX + FRAME_OVERHEAD_BYTES;
/// Most bytes of a sealed hello or welcome.
pub const HELLO_BYTES_MAX: usize = 8 * 1024;
/// Most bytes of one NATS message that a broker for Tieline has to carry: a frame with its NATS
/// headers. It is the `max_payload` that [`crate::broker_config`] writes.
pub const BROKER_PAYLOAD_BYTES: usize = 2 * 1024 * 1024;
/// Most bytes that one request of a reader asks the broker for. The next request goes out while
/// one is being used up, so at most twice this waits in memory.
pub const READ_AHEAD_BYTES: usize = 2 * 1024 * 1024;
/// Most frames that one request of a reader asks the broker for; at most twice this wait.
pub const READ_AHEAD_FRAMES: usize = 256;
/// Most messages that one subscription of the client holds. A reader never has as many under way.
pub const SUBSCRIPTION_MESSAGES_MAX: usize = 1_024;
/// Most heartbeats or hellos that wait for the daemon; when it falls behind, the newest are
/// dropped and counted: the next heartbeat says the same, and a hello is repeated.
pub const LISTEN_QUEUE_MAX: usize = 1_024;
/// Most windows that one ring holds, in percent: two and a tenth, so that a sender that rewinds
/// while its frames are still in the ring does not push out what the reader has yet to see.
pub const RING_WINDOWS_PERCENT: u64 = 220;

const _: () = {
    assert!(FRAME_HEADER_BYTES_MAX <= u16::MAX as usize, "the header's length is a u16");
    assert!(FRAME_BYTES_MAX + 4 * 1024 <= BROKER_PAYLOAD_BYTES, "a frame passes the broker");
    assert!(FRAME_BYTES_MAX + 4 * 1024 <= READ_AHEAD_BYTES, "a reader can ask for the largest frame");
    assert!(FRAME_BYTES_MAX <= WINDOW_BYTES_MAX, "the window holds the largest frame");
    assert!(READ_AHEAD_FRAMES * 2 < SUBSCRIPTION_MESSAGES_MAX, "read-ahead never overflows");
};
