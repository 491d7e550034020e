//! Notices as the state keeps them: bounded per user, with what waits to be sent together.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::event::{DigestMade, NoticeRaised, NoticeSettingsSet, NoticesRead};
use crate::limits::{NOTICES_KEPT, NOTICES_WAITING_MAX};
use crate::notice::{NoticeKind, NoticeSettings};
use crate::{ConnectionId, NoticeId, RecordId, Timestamp, UserName};

/// What the users of an org were told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Notices {
    /// What holds for everybody who has no settings of their own.
    pub settings: Option<NoticeSettings>,
    by_user: BTreeMap<UserName, UserNotices>,
}

/// What one user was told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UserNotices {
    /// The settings of this user.
    pub settings: Option<NoticeSettings>,
    /// The newest notices, the oldest first.
    pub list: VecDeque<KeptNotice>,
    /// What was sent, and what waits, by kind.
    pub windows: BTreeMap<NoticeKind, Window>,
}

/// One notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptNotice {
    /// Its id.
    pub id: NoticeId,
    /// When it was raised.
    pub time: Timestamp,
    /// What it is about.
    pub kind: NoticeKind,
    /// The connection that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// The record that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordId>,
    /// One sentence.
    pub text: String,
    /// Whether the user has seen it.
    #[serde(default)]
    pub read: bool,
    /// Whether it waits to be sent with others.
    #[serde(default)]
    pub waits: bool,
}

/// The notices of one kind since one was sent at once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Window {
    /// When that was.
    pub since: Timestamp,
    /// How many wait.
    pub waiting: u32,
    /// Those of them that are about a connection, by it: the storm of one silences no other.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_connection: BTreeMap<ConnectionId, u32>,
}

impl Window {
    fn begun(since: Timestamp) -> Self {
        Self { since, ..Self::default() }
    }

    /// How many wait about a connection, or about none.
    pub(crate) fn waiting_of(&self, connection: Option<ConnectionId>) -> usize {
        let count = match connection {
            Some(id) => self.by_connection.get(&id).copied().unwrap_or_default(),
            None => self.waiting.saturating_sub(self.by_connection.values().sum()),
        };
        count as usize
    }

    /// Whether there may have been more than what waits.
    pub(crate) fn is_cut(&self) -> bool {
        let connections = self.by_connection.keys().copied().map(Some);
        connections.chain([None]).any(|connection| self.waiting_of(connection) >= NOTICES_WAITING_MAX)
    }
}

impl Notices {
    /// What a user was told; nothing if nothing ever.
    #[must_use]
    pub fn of(&self, user: &UserName) -> Option<&UserNotices> {
        self.by_user.get(user)
    }

    /// The settings that hold for a user.
    #[must_use]
    pub fn settings_of(&self, user: &UserName) -> NoticeSettings {
        let own = self.by_user.get(user).and_then(|notices| notices.settings.as_ref());
        own.or(self.settings.as_ref()).cloned().unwrap_or_default()
    }

    /// Users with settings of their own.
    pub fn own_settings(&self) -> impl Iterator<Item = (&UserName, &NoticeSettings)> {
        self.by_user.iter().filter_map(|(user, notices)| Some((user, notices.settings.as_ref()?)))
    }

    /// The users for whom notices wait whose time has come, with their kinds.
    pub fn due(&self, now: Timestamp) -> impl Iterator<Item = (&UserName, Vec<NoticeKind>)> {
        self.by_user.iter().filter_map(move |(user, notices)| {
            if notices.windows.values().all(|window| window.waiting == 0) {
                return None;
            }
            let interval = self.settings_of(user).interval_us();
            let is_due = |window: &Window| window.waiting > 0 && now.since_us(window.since) >= interval;
            let kinds: Vec<_> =
                notices.windows.iter().filter(|(_, w)| is_due(w)).map(|(kind, _)| *kind).collect();
            (!kinds.is_empty()).then_some((user, kinds))
        })
    }

    /// Forgets what a user was told, and how.
    pub(crate) fn forget(&mut self, user: &UserName) {
        self.by_user.remove(user);
    }

    pub(crate) fn raised(&mut self, time: Timestamp, event: &NoticeRaised) {
        let user = self.by_user.entry(event.user.clone()).or_default();
        user.list.push_back(KeptNotice {
            id: event.id,
            time,
            kind: event.kind,
            connection: event.connection,
            record: event.record,
            text: event.text.clone(),
            read: false,
            waits: event.waits,
        });
        if user.list.len() > NOTICES_KEPT {
            user.list.pop_front();
        }
        let window = user.windows.entry(event.kind).or_default();
        if event.waits {
            window.waiting += 1;
            if let Some(connection) = event.connection {
                *window.by_connection.entry(connection).or_default() += 1;
            }
        } else {
            *window = Window::begun(time);
        }
    }

    pub(crate) fn read(&mut self, event: &NoticesRead) {
        let Some(user) = self.by_user.get_mut(&event.user) else { return };
        for notice in &mut user.list {
            notice.read |= event.ids.is_empty() || event.ids.contains(&notice.id);
        }
    }

    pub(crate) fn digest_made(&mut self, time: Timestamp, event: &DigestMade) {
        let Some(user) = self.by_user.get_mut(&event.user) else { return };
        for kind in &event.kinds {
            user.windows.insert(*kind, Window::begun(time));
        }
        for notice in user.list.iter_mut().filter(|notice| event.kinds.contains(&notice.kind)) {
            notice.waits = false;
        }
    }

    pub(crate) fn settings_set(&mut self, event: &NoticeSettingsSet) {
        match &event.user {
            None => self.settings.clone_from(&event.settings),
            Some(user) => {
                self.by_user.entry(user.clone()).or_default().settings.clone_from(&event.settings);
            }
        }
    }
}
