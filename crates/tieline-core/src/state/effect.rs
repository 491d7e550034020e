//! Effects as the state keeps them: the open ones whole, the given up ones so that they can be tried
//! again, of those that were done only that they were.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::effect::{Cause, Effect};
use crate::event::{EffectEnded, EffectQueued};
use crate::limits::{
    EFFECTS_FAILED_KEPT, EFFECTS_OPEN_BYTES_MAX, EFFECTS_OPEN_MAX, EFFECTS_SENT_KEPT, REASON_CHARS_MAX,
};
use crate::{EffectId, Seq, Timestamp};

/// The effects of an org.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Effects {
    open: BTreeMap<EffectId, OpenEffect>,
    failed: BTreeMap<EffectId, FailedEffect>,
    sent: VecDeque<SentEffect>,
    /// The last event that opened one.
    pub newest: Seq,
    /// What the open ones take, derived.
    #[serde(skip)]
    open_bytes: usize,
}

/// Something that has to be done outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenEffect {
    /// The event that opened it: the first opened is the first tried.
    pub seq: Seq,
    /// When that was.
    pub time: Timestamp,
    /// What has to be done.
    pub effect: Arc<Effect>,
    /// What it comes from.
    pub cause: Cause,
}

/// An effect that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedEffect {
    /// What was to be done.
    pub open: OpenEffect,
    /// When it was given up.
    pub time: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it was given up.
    pub error: String,
}

/// An effect that was done: what it said is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentEffect {
    /// Its id.
    pub id: EffectId,
    /// `mail` or `webhook`.
    pub kind: String,
    /// To whom.
    pub recipient: String,
    /// What it was about.
    pub subject: String,
    /// What it came from.
    pub cause: Cause,
    /// When it was queued.
    pub queued: Timestamp,
    /// When it was done.
    pub time: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
}

impl Effects {
    /// Those that have to be done.
    #[must_use]
    pub const fn open(&self) -> &BTreeMap<EffectId, OpenEffect> {
        &self.open
    }

    /// Those that were given up, as far as they are kept.
    #[must_use]
    pub const fn failed(&self) -> &BTreeMap<EffectId, FailedEffect> {
        &self.failed
    }

    /// The last ones that were done, the oldest first.
    #[must_use]
    pub const fn sent(&self) -> &VecDeque<SentEffect> {
        &self.sent
    }

    /// Whether so many more, of so many bytes, may be opened.
    #[must_use]
    pub fn has_room(&self, more: usize, bytes: usize) -> bool {
        self.open.len() + more <= EFFECTS_OPEN_MAX && self.open_bytes + bytes <= EFFECTS_OPEN_BYTES_MAX
    }

    pub(crate) fn queued(&mut self, seq: Seq, time: Timestamp, event: &EffectQueued) {
        let effect = Arc::new(event.effect.clone());
        self.put(event.id, OpenEffect { seq, time, effect, cause: event.cause.clone() });
    }

    fn put(&mut self, id: EffectId, open: OpenEffect) {
        self.newest = open.seq;
        self.open_bytes += open.effect.bytes();
        if let Some(before) = self.open.insert(id, open) {
            self.open_bytes -= before.effect.bytes();
        }
    }

    pub(crate) fn ended(&mut self, time: Timestamp, event: &EffectEnded) {
        let Some(open) = self.open.remove(&event.id) else { return };
        self.open_bytes -= open.effect.bytes();
        if event.sent {
            self.sent.push_back(SentEffect {
                id: event.id,
                kind: open.effect.kind().to_owned(),
                recipient: open.effect.recipient().to_owned(),
                subject: open.effect.subject().to_owned(),
                cause: open.cause,
                queued: open.time,
                time,
                attempts: event.attempts,
            });
            if self.sent.len() > EFFECTS_SENT_KEPT {
                self.sent.pop_front();
            }
            return;
        }
        let error = event.error.chars().take(REASON_CHARS_MAX).collect();
        self.failed.insert(event.id, FailedEffect { open, time, attempts: event.attempts, error });
        if self.failed.len() > EFFECTS_FAILED_KEPT {
            let oldest = self.failed.iter().min_by_key(|(_, failed)| failed.open.seq).map(|(id, _)| *id);
            oldest.map(|id| self.failed.remove(&id));
        }
    }

    pub(crate) fn retried(&mut self, seq: Seq, time: Timestamp, id: EffectId) {
        if let Some(failed) = self.failed.remove(&id) {
            self.put(id, OpenEffect { seq, time, ..failed.open });
        }
    }

    pub(crate) fn dropped(&mut self, id: EffectId) {
        self.failed.remove(&id);
    }

    /// Rebuilds what is derived.
    pub(super) fn derive(&mut self) {
        self.open_bytes = self.open.values().map(|open| open.effect.bytes()).sum();
    }
}
