//! Requests with a key, and what was answered: bounded in number and time, oldest forgotten first.
//!
//! What is kept depends on the events alone, so a replay keeps the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use crate::command::Reply;
use crate::event::RequestAnswered;
use crate::limits::{REQUEST_ANSWERS_KEPT_US, REQUEST_ANSWERS_MAX};
use crate::{RequestKey, Seq, Timestamp, UserName};

/// The answered requests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Requests {
    /// By the event of their first answer: the oldest first.
    by_age: BTreeMap<Seq, Request>,
    /// Where the request of a user and key is, derived.
    #[serde(skip)]
    places: BTreeMap<UserName, BTreeMap<RequestKey, Seq>>,
    /// Answers of all requests, derived.
    #[serde(skip)]
    answers: usize,
}

/// A request of which at least one command was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    user: UserName,
    key: RequestKey,
    /// A hash of what was asked for.
    pub fingerprint: ByteArray<16>,
    /// When the first command was answered.
    pub time: Timestamp,
    /// The answers by command.
    pub answers: BTreeMap<u32, Answer>,
}

/// What a command answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The last event of its group.
    pub seq: Seq,
    /// The answer.
    pub reply: Reply,
}

impl Request {
    fn has_ended(&self, now: Timestamp) -> bool {
        now.since_us(self.time) >= REQUEST_ANSWERS_KEPT_US
    }
}

impl Requests {
    /// The request of a user and key, if it is still known at `now`.
    #[must_use]
    pub fn get(&self, user: &UserName, key: &RequestKey, now: Timestamp) -> Option<&Request> {
        let place = self.places.get(user)?.get(key)?;
        self.by_age.get(place).filter(|request| !request.has_ended(now))
    }

    /// How many answers are kept.
    #[must_use]
    pub const fn answers(&self) -> usize {
        self.answers
    }

    /// Keeps an answer, and forgets what is too old or too much.
    pub(crate) fn answered(&mut self, seq: Seq, time: Timestamp, event: &RequestAnswered) {
        while self.by_age.first_key_value().is_some_and(|(_, oldest)| oldest.has_ended(time)) {
            self.forget_oldest();
        }
        let place = self.places.entry(event.user.clone()).or_default().entry(event.key.clone());
        let request = self.by_age.entry(*place.or_insert(seq)).or_insert_with(|| Request {
            user: event.user.clone(),
            key: event.key.clone(),
            fingerprint: event.fingerprint,
            time,
            answers: BTreeMap::new(),
        });
        let answer = Answer { seq, reply: event.reply.clone() };
        self.answers += usize::from(request.answers.insert(event.item, answer).is_none());
        while self.answers > REQUEST_ANSWERS_MAX {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((_, oldest)) = self.by_age.pop_first() else { return };
        self.answers -= oldest.answers.len();
        if let Some(keys) = self.places.get_mut(&oldest.user) {
            keys.remove(&oldest.key);
            if keys.is_empty() {
                self.places.remove(&oldest.user);
            }
        }
    }

    /// Rebuilds what is derived.
    pub(super) fn derive(&mut self) {
        self.places.clear();
        self.answers = 0;
        for (seq, request) in &self.by_age {
            self.places.entry(request.user.clone()).or_default().insert(request.key.clone(), *seq);
            self.answers += request.answers.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(user: &str, key: &str, item: u32) -> RequestAnswered {
        RequestAnswered {
            user: user.parse().unwrap(),
            key: key.parse().unwrap(),
            fingerprint: ByteArray::new([1; 16]),
            item,
            reply: Reply::Done,
        }
    }

    #[test]
    fn answers_are_kept_for_a_day_per_user_and_key() {
        let mut requests = Requests::default();
        requests.answered(Seq(5), Timestamp(0), &event("ann", "k", 0));
        requests.answered(Seq(6), Timestamp(9), &event("ann", "k", 3));
        requests.answered(Seq(7), Timestamp(9), &event("bob", "k", 0));
        let (ann, key) = ("ann".parse().unwrap(), "k".parse().unwrap());
        let last = Timestamp(REQUEST_ANSWERS_KEPT_US - 1);
        let known = requests.get(&ann, &key, last).unwrap();
        assert_eq!(
            known.answers.iter().map(|(n, a)| (*n, a.seq)).collect::<Vec<_>>(),
            [(0, Seq(5)), (3, Seq(6))]
        );
        assert_eq!(requests.get(&ann, &key, Timestamp(REQUEST_ANSWERS_KEPT_US)), None);
        assert_eq!(requests.get(&"eve".parse().unwrap(), &key, last), None);

        // The next answer forgets what has ended; the key begins anew.
        requests.answered(Seq(9), Timestamp(REQUEST_ANSWERS_KEPT_US), &event("ann", "k", 1));
        assert_eq!(requests.answers(), 2);
        let known = requests.get(&ann, &key, Timestamp(REQUEST_ANSWERS_KEPT_US)).unwrap();
        assert_eq!(known.answers.keys().collect::<Vec<_>>(), [&1]);
    }

    #[test]
    fn the_oldest_requests_make_room() {
        let mut requests = Requests::default();
        requests.answered(Seq(1), Timestamp(0), &event("ann", "old", 0));
        for item in 0..REQUEST_ANSWERS_MAX as u32 {
            requests.answered(Seq(2 + u64::from(item)), Timestamp(0), &event("ann", "new", item));
        }
        let known = |key: &str| requests.get(&"ann".parse().unwrap(), &key.parse().unwrap(), Timestamp(0));
        assert_eq!((requests.answers(), known("old")), (REQUEST_ANSWERS_MAX, None));
        assert_eq!(known("new").unwrap().answers.len(), REQUEST_ANSWERS_MAX);
    }

    #[test]
    fn what_is_derived_comes_back_from_a_snapshot() {
        let mut requests = Requests::default();
        requests.answered(Seq(5), Timestamp(0), &event("ann", "k", 0));
        requests.answered(Seq(7), Timestamp(0), &event("bob", "k", 2));
        let mut read: Requests = rmp_serde::from_slice(&rmp_serde::to_vec_named(&requests).unwrap()).unwrap();
        read.derive();
        assert_eq!(read, requests);
    }
}
