//! Questions to contacts as the state keeps them, and the directory that follows from the answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{InquiryAnswered, InquirySent};
use crate::inquiry::{InquiryAnswer, InquiryReply};
use crate::invitation::InvitedContact;
use crate::limits::INQUIRIES_KEPT;
use crate::{InquiryId, OrgName, RecordId, Seq, Timestamp, UserName};

/// The questions to contacts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Inquiries {
    by_id: BTreeMap<InquiryId, Inquiry>,
}

/// A question to a contact whether a connection is possible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inquiry {
    /// The event of the question.
    pub seq: Seq,
    /// Who was asked.
    pub contact: InvitedContact,
    /// When.
    pub asked: Timestamp,
    /// By whom.
    pub actor: UserName,
    /// The answer, if one was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<InquiryAnswer>,
    /// When it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Timestamp>,
}

impl Inquiries {
    /// All of them.
    #[must_use]
    pub const fn all(&self) -> &BTreeMap<InquiryId, Inquiry> {
        &self.by_id
    }

    /// The question to a contact, if it was asked.
    #[must_use]
    pub fn of(&self, contact: RecordId) -> Option<&Inquiry> {
        self.by_id
            .values()
            .filter(|inquiry| inquiry.contact.record == contact)
            .max_by_key(|inquiry| inquiry.seq)
    }

    /// The orgs that agreed to be listed, with whoever spoke for them: by the last answer that names
    /// each.
    #[must_use]
    pub fn directory(&self) -> BTreeMap<&OrgName, &Inquiry> {
        let mut last: BTreeMap<&OrgName, &Inquiry> = BTreeMap::new();
        for inquiry in self.by_id.values() {
            let Some(org) = inquiry.answer.as_ref().and_then(|answer| answer.org.as_ref()) else { continue };
            if last.get(org).is_none_or(|known| known.answered < inquiry.answered) {
                last.insert(org, inquiry);
            }
        }
        let listed = |answer: &InquiryAnswer| answer.listed && answer.reply != InquiryReply::No;
        last.retain(|_, inquiry| inquiry.answer.as_ref().is_some_and(listed));
        last
    }

    pub(crate) fn sent(&mut self, seq: Seq, time: Timestamp, event: &InquirySent) {
        let (contact, actor) = (event.contact.clone(), event.actor.clone());
        let inquiry = Inquiry { seq, contact, asked: time, actor, answer: None, answered: None };
        self.by_id.insert(event.id, inquiry);
        if self.by_id.len() > INQUIRIES_KEPT {
            let oldest = self.by_id.iter().min_by_key(|(_, inquiry)| inquiry.seq).map(|(id, _)| *id);
            oldest.map(|id| self.by_id.remove(&id));
        }
    }

    pub(crate) fn answered(&mut self, time: Timestamp, event: &InquiryAnswered) {
        if let Some(inquiry) = self.by_id.get_mut(&event.id) {
            inquiry.answer = Some(event.answer.clone());
            inquiry.answered = Some(time);
        }
    }
}
