//! The broker's acknowledgements of frames: they pace a sender and prove nothing.
//!
//! All replies come to one subscription, `_INBOX.<random>.<token>`, and find their frame by token.
//! The client's own request table is not used for frames: it keeps an entry for ever for each
//! reply that never comes, and during an outage none does. Here an entry goes with its
//! [`FrameAck`], answered, timed out or dropped.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::{Client, Message, StatusCode};
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// What the broker says of a frame that it put into the partner's ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PubAck {
    /// Its number in the ring. It starts again at 1 when the broker loses its disk.
    pub ring_seq: u64,
}

/// Why the broker did not acknowledge a frame. The frame may have arrived all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// The partner has no ring for this connection; only newer servers say so.
    #[error("The partner has no inbox for this connection at the broker")]
    NoResponders,
    /// No answer in time: lost on the way, or an older server without a ring.
    #[error("The broker did not acknowledge the frame in time")]
    Timeout,
    /// The ring took it not.
    #[error("The partner's inbox refused the frame: {description} (code {code})")]
    Refused {
        /// JetStream's error code; 0 for an answer that could not be read.
        code: u64,
        /// JetStream's words.
        description: String,
    },
}

impl AckError {
    /// The stable name of this error, for metrics and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoResponders => "no_responders",
            Self::Timeout => "timeout",
            Self::Refused { .. } => "refused",
        }
    }
}

type Answer = Result<PubAck, AckError>;

/// An acknowledgement that may come. Dropping it forgets the frame; the frame travels on.
#[derive(Debug)]
#[must_use = "await `outcome` or drop it on purpose"]
pub struct FrameAck {
    answer: oneshot::Receiver<Answer>,
    deadline: Instant,
    token: u64,
    replies: Arc<Replies>,
}

impl FrameAck {
    /// Waits for the broker's word, until the deadline that was set when the frame was published.
    ///
    /// # Errors
    /// [`AckError`].
    pub async fn outcome(mut self) -> Result<PubAck, AckError> {
        match tokio::time::timeout_at(self.deadline, &mut self.answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(AckError::Timeout),
        }
    }
}

impl Drop for FrameAck {
    fn drop(&mut self) {
        self.replies.waiting().remove(&self.token);
    }
}

/// The frames that wait for the broker's word.
#[derive(Debug)]
pub(super) struct Replies {
    /// Subject of all replies, without the token: unguessable, and nobody else may subscribe it.
    inbox: String,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    next: AtomicU64,
}

impl Replies {
    pub(super) fn new(inbox: String) -> Self {
        Self { inbox, waiting: Mutex::default(), next: AtomicU64::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Answer>>> {
        // The map is whole between any two statements, so a panic elsewhere cannot have broken it.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Expects one more reply; returns the subject to ask for it on.
    pub(super) fn expect(self: &Arc<Self>, deadline: Instant) -> (String, FrameAck) {
        let token = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting().insert(token, sender);
        (format!("{}.{token}", self.inbox), FrameAck { answer, deadline, token, replies: self.clone() })
    }

    fn settle(&self, message: &Message) {
        let token = message.subject.rsplit('.').next().and_then(|token| token.parse().ok());
        let waiting = token.and_then(|token: u64| self.waiting().remove(&token));
        if let Some(waiting) = waiting {
            // Whoever waited may have gone in this moment.
            waiting.send(read(message)).ok();
        }
    }
}

/// Hands replies to the frames that wait for them, for as long as the bus lives.
pub(super) async fn collect(sender: Client, replies: Arc<Replies>) {
    match sender.subscribe(format!("{}.*", replies.inbox)).await {
        Ok(mut arriving) => {
            while let Some(message) = arriving.next().await {
                replies.settle(&message);
            }
        }
        // The client is closed: every acknowledgement times out, and nothing depends on one.
        Err(error) => tracing::debug!(%error, "no acknowledgements"),
    }
}

#[derive(Deserialize)]
struct Reply {
    seq: Option<u64>,
    error: Option<ReplyError>,
}

#[derive(Deserialize)]
struct ReplyError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

fn read(message: &Message) -> Answer {
    if message.status == Some(StatusCode::NO_RESPONDERS) {
        return Err(AckError::NoResponders);
    }
    let refused = |code, description: &str| {
        Err(AckError::Refused { code, description: description.chars().take(200).collect() })
    };
    match serde_json::from_slice::<Reply>(&message.payload) {
        Ok(Reply { error: Some(error), .. }) => refused(error.err_code, &error.description),
        Ok(Reply { seq: Some(ring_seq), error: None }) => Ok(PubAck { ring_seq }),
        Ok(_) | Err(_) => refused(0, "an answer that is no acknowledgement"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn message(subject: String, payload: &'static [u8], status: Option<StatusCode>) -> Message {
        Message {
            subject: subject.into(),
            reply: None,
            payload: payload.into(),
            headers: None,
            status,
            description: None,
            length: 0,
        }
    }

    fn replies() -> Arc<Replies> {
        Arc::new(Replies::new("_INBOX.x".into()))
    }

    #[tokio::test]
    async fn each_reply_finds_its_frame() {
        let replies = replies();
        let deadline = Instant::now() + Duration::from_secs(60);
        let (first, first_ack) = replies.expect(deadline);
        let (second, second_ack) = replies.expect(deadline);
        let (third, third_ack) = replies.expect(deadline);
        replies.settle(&message("_INBOX.x.99".into(), b"", None));
        replies.settle(&message(third, b"junk", None));
        replies.settle(&message(second, b"", Some(StatusCode::NO_RESPONDERS)));
        replies.settle(&message(first.clone(), br#"{"stream":"IN_x","seq":7}"#, None));
        replies.settle(&message(first, br#"{"stream":"IN_x","seq":8}"#, None));
        assert_eq!(first_ack.outcome().await, Ok(PubAck { ring_seq: 7 }), "the first reply counts");
        assert_eq!(second_ack.outcome().await, Err(AckError::NoResponders));
        assert!(matches!(third_ack.outcome().await, Err(AckError::Refused { code: 0, .. })));
        let full =
            br#"{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"seq":0}"#;
        let expected = AckError::Refused { code: 10077, description: "maximum bytes exceeded".into() };
        assert_eq!(read(&message(String::new(), full, None)), Err(expected));
    }

    #[tokio::test]
    async fn nothing_is_kept_of_a_frame_that_nobody_waits_for() {
        let replies = replies();
        let (_, dropped) = replies.expect(Instant::now());
        let (_, late) = replies.expect(Instant::now());
        assert_eq!(replies.waiting().len(), 2);
        drop(dropped);
        assert_eq!(late.outcome().await, Err(AckError::Timeout));
        assert_eq!(replies.waiting().len(), 0);
    }
}
