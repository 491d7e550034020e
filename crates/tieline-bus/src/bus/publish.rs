//! What leaves: frames into a partner's ring, heartbeats, and the hello of a handshake.

use std::time::Duration;

use async_nats::Request;
use bytes::Bytes;
use tieline_core::{ConnectionId, OrgName};
use tokio::time::Instant;

use super::{Bus, BusError, FrameAck};
use crate::limits::{FRAME_BYTES_MAX, HEARTBEAT_BYTES_MAX, HELLO_BYTES_MAX};
use crate::subjects;

const FRAME: &str = "a partner's inbox";
const HEARTBEAT: &str = "a partner as a heartbeat";
const HELLO: &str = "an inviter as a hello";

impl Bus {
    /// Hands a frame to the client and returns: many may be under way. Frames of one caller leave
    /// in its order. The acknowledgement that is returned only says what the broker did.
    ///
    /// # Errors
    /// [`BusError::Disconnected`] or [`BusError::Denied`] at once when there is no connection, or
    /// after [`super::Timeouts::enqueue`] when the connection is too slow;
    /// [`BusError::TooLarge`], also when the broker takes less than a frame may have.
    pub async fn publish_frame(
        &self,
        partner: &OrgName,
        connection: ConnectionId,
        frame: Bytes,
    ) -> Result<FrameAck, BusError> {
        self.fits(&frame, FRAME_BYTES_MAX, FRAME)?;
        let sender = &self.inner.sender;
        let subject = subjects::frames_out(partner, connection);
        let (reply, ack) = self.inner.replies.expect(Instant::now() + self.inner.timeouts.ack);
        self.enqueue(sender.publish_with_reply(subject, reply, frame), "publish a frame").await?;
        Ok(ack)
    }

    /// Sends a heartbeat: a frame without a body. Nobody stores it and nobody answers.
    ///
    /// # Errors
    /// As [`Bus::publish_frame`].
    pub async fn heartbeat(
        &self,
        partner: &OrgName,
        connection: ConnectionId,
        frame: Bytes,
    ) -> Result<(), BusError> {
        self.fits(&frame, HEARTBEAT_BYTES_MAX, HEARTBEAT)?;
        let subject = subjects::heartbeats_out(partner, connection);
        self.enqueue(self.inner.sender.publish(subject, frame), "send a heartbeat").await
    }

    /// Sends a sealed hello to the org that invited and waits for its sealed reply. The reply is
    /// not proven until it opens: anybody whom the broker lets answer for the inviter could have
    /// written it.
    ///
    /// # Errors
    /// As [`Bus::publish_frame`]; [`BusError::NoResponders`] when no daemon of the inviter is
    /// connected (older servers let it time out); [`BusError::Timeout`] after `within`.
    pub async fn hello(&self, inviter: &OrgName, sealed: Bytes, within: Duration) -> Result<Bytes, BusError> {
        self.fits(&sealed, HELLO_BYTES_MAX, HELLO)?;
        let what = "answer an invitation";
        // One timeout for queue and answer together: the client's own covers the answer alone.
        let request = Request::new().payload(sealed).timeout(None);
        let asked = self.inner.sender.send_request(subjects::hello_out(inviter), request);
        let answered = async {
            let reply = tokio::time::timeout(within, asked).await.map_err(|_| BusError::Timeout { what })?;
            reply.map_err(|error| BusError::from_request(what, error))
        };
        Ok(self.while_connected(answered).await?.payload)
    }

    fn fits(&self, payload: &Bytes, most: usize, what: &'static str) -> Result<(), BusError> {
        self.connected()?;
        let limit = most.min(self.inner.sender.max_payload());
        let bytes = payload.len();
        if bytes > limit { Err(BusError::TooLarge { what, bytes, limit }) } else { Ok(()) }
    }
}
