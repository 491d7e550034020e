//! The state of an org: a plain value, rebuilt from the log bit for bit.
//!
//! Everything that counts is in ordered maps and is part of the hash; what can be derived from it
//! (indexes, compiled rules) is not, and is rebuilt. Only `apply` changes a state.

mod automation;
mod bulk;
mod carried;
mod connection;
mod drift;
mod effect;
mod history;
mod inquiry;
mod invitation;
mod key;
mod link;
mod notice;
mod pause;
mod people;
mod record;
mod request;
mod select;
mod share;
mod sharing;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use automation::{Automation, Escalation, FailedComputation, RuleFailure, Ruling};
pub use bulk::Bulk;
pub use carried::Carried;
pub(crate) use connection::Compiled;
pub use connection::{
    Connection, ConnectionStatus, Failure, HeldMessage, Inbound, Outbox, OutboxEntry, Side, UnreportedOutcome,
};
pub use drift::{NotedDrift, SeenValue, UnmappedValues};
pub use effect::{Effects, FailedEffect, OpenEffect, SentEffect};
pub use history::Conflicts;
pub use inquiry::{Inquiries, Inquiry};
pub use invitation::{Invitations, PostponedInvitation, Postponement, SavedInvitation};
pub use key::{Former, OwnKey, OwnKeys};
pub use link::AwaitedLink;
pub(crate) use link::LinkIndex;
pub use notice::{KeptNotice, Notices, UserNotices, Window};
pub use pause::{Pause, Pauses};
pub use people::{NotAdmitted, Token, User};
pub use record::{FieldState, Record, Source};
pub use request::{Answer, Request, Requests};
pub use select::NotSelected;
pub use share::{Problem, Share, ShareRole, ShareStatus, SharedBy, SharedOwner};
pub use view::Views;

use crate::conversion::ConversionMap;
use crate::event::AlarmRaised;
use crate::job::Job;
use crate::people::{Group, OrgSettings, Role};
use crate::report::Report;
use crate::rules::CompiledRules;
use crate::schema::ObjectSchema;
use crate::stamp::HybridClock;
use crate::template::ConnectionTemplate;
use crate::{
    ConnectionId, ConnectionTemplateName, GroupName, Incarnation, JobId, ObjectName, OrgId, OrgName,
    RecordId, ReportName, RoleName, Seq, ShareId, Timestamp, TokenId, UserName,
};

/// The version of the serialised form, and of what events make of it; a snapshot of another one is not read.
pub const STATE_FORMAT: u32 = 6;

/// Most alarms that the state keeps; the log keeps all.
const ALARMS_KEPT: usize = 100;

/// An org as its log has made it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct State {
    /// The org itself; nothing before its first event.
    pub org: Option<Org>,
    /// The last event folded.
    pub seq: Seq,
    /// When it happened.
    pub time: Timestamp,
    /// The clock of stamps.
    pub clock: HybridClock,
    /// The people, with their tokens.
    pub users: BTreeMap<UserName, User>,
    /// What the people may do.
    #[serde(default)]
    pub roles: BTreeMap<RoleName, Role>,
    /// People who are named together.
    #[serde(default)]
    pub groups: BTreeMap<GroupName, Group>,
    /// Settings that connections can be given.
    #[serde(default)]
    pub templates: BTreeMap<ConnectionTemplateName, ConnectionTemplate>,
    /// The objects.
    pub objects: BTreeMap<ObjectName, Arc<ObjectSchema>>,
    /// The records, deleted ones included as long as a share knows them.
    pub records: Bulk<BTreeMap<RecordId, Record>>,
    /// The connections.
    pub connections: BTreeMap<ConnectionId, Connection>,
    /// Jobs that are not done.
    pub jobs: BTreeMap<JobId, Job>,
    /// The newest alarms.
    pub alarms: Vec<Alarm>,
    /// What happens by itself.
    #[serde(default)]
    pub automation: Automation,
    /// Requests that were answered and may be sent again.
    #[serde(default)]
    pub requests: Bulk<Requests>,
    /// The saved views.
    #[serde(default)]
    pub views: Views,
    /// What has to be done outside.
    #[serde(default)]
    pub effects: Effects,
    /// Invitations that are saved or postponed, and mail templates.
    #[serde(default)]
    pub invitations: Invitations,
    /// Questions to contacts whether a connection is possible.
    #[serde(default)]
    pub inquiries: Inquiries,
    /// What users were told.
    #[serde(default)]
    pub notices: Notices,
    /// The reports that were defined here.
    #[serde(default)]
    pub reports: BTreeMap<ReportName, Report>,
    /// Which fields of a lead become which of what it becomes.
    #[serde(default)]
    pub conversion: ConversionMap,
    /// The pages of the log that hold something of the org's audit, in order (S2S-73).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audit_pages: Vec<u32>,
    /// Records per object, derived.
    #[serde(skip)]
    by_object: Bulk<BTreeMap<ObjectName, BTreeSet<RecordId>>>,
    /// Rules ready to run, derived.
    #[serde(skip)]
    rules: BTreeMap<ObjectName, Arc<CompiledRules>>,
    /// The tasks of a record, derived.
    #[serde(skip)]
    tasks: Bulk<BTreeMap<RecordId, BTreeSet<RecordId>>>,
    /// Accounts by their names as they are compared, derived.
    #[serde(skip)]
    accounts: Bulk<BTreeMap<String, BTreeSet<RecordId>>>,
    /// Records with values that wait for approval, derived.
    #[serde(skip)]
    approvals: Bulk<BTreeSet<RecordId>>,
    /// References of records, derived.
    #[serde(skip)]
    pub(crate) link_index: Bulk<LinkIndex>,
    /// Fields that other records carry, derived.
    #[serde(skip)]
    carried: BTreeMap<ObjectName, Carried>,
    /// Whose token has which hash, derived.
    #[serde(skip)]
    by_token: BTreeMap<[u8; 32], (UserName, TokenId)>,
}

/// The org itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Org {
    /// Its name.
    pub name: OrgName,
    /// The 64-bit form of its name in stamps.
    pub id: OrgId,
    /// The present life of its log.
    pub incarnation: Incarnation,
    /// What it was bought as.
    #[serde(default)]
    pub settings: OrgSettings,
    /// The company that it belongs to, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
}

/// Something that a person has to know about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// When it was raised.
    pub time: Timestamp,
    /// What it is.
    pub alarm: AlarmRaised,
}

/// The canonical hash of a state: equal on every machine that folded the same events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateHash(pub [u8; 32]);

/// How much of a state is hashed at once.
const HASHED_AT_ONCE_BYTES: usize = 64 << 10;

impl StateHash {
    fn hasher() -> blake3::Hasher {
        blake3::Hasher::new_derive_key("tieline state 1")
    }

    /// The hash of the state that these bytes are ([`State::to_bytes`]).
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*Self::hasher().update(bytes).finalize().as_bytes())
    }
}

impl std::fmt::Display for StateHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// A snapshot that cannot be used; the log can always be replayed instead.
#[derive(Debug, thiserror::Error)]
#[error("the snapshot is not a state of format {STATE_FORMAT}")]
pub struct SnapshotError(#[source] rmp_serde::decode::Error);

impl State {
    /// The object of this name.
    #[must_use]
    pub fn object(&self, name: &ObjectName) -> Option<&Arc<ObjectSchema>> {
        self.objects.get(name)
    }

    /// The rules of an object, ready to run.
    #[must_use]
    pub fn rules(&self, name: &ObjectName) -> Option<&Arc<CompiledRules>> {
        self.rules.get(name)
    }

    /// A record that is not deleted.
    #[must_use]
    pub fn record(&self, id: RecordId) -> Option<&Record> {
        self.records.get(&id).filter(|record| !record.deleted)
    }

    /// The records of an object that are not deleted, after `after`, in the order of their ids.
    pub fn records_of<'a>(
        &'a self,
        object: &ObjectName,
        after: Option<RecordId>,
    ) -> impl Iterator<Item = (RecordId, &'a Record)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, Excluded);
        let ids = self.by_object.get(object).into_iter().flat_map(move |ids| ids.range((start, Unbounded)));
        ids.filter_map(|id| Some((*id, self.record(*id)?)))
    }

    /// How many records of an object there are, deleted ones that are still known not counted.
    #[must_use]
    pub fn count_of(&self, object: &ObjectName) -> usize {
        self.by_object.get(object).map_or(0, BTreeSet::len)
    }

    /// A share of a connection.
    #[must_use]
    pub fn share(&self, connection: ConnectionId, share: ShareId) -> Option<&Share> {
        self.connections.get(&connection)?.shares.get(&share)
    }

    /// The shares of a record.
    pub fn shares_of<'a>(&'a self, record: &'a Record) -> impl Iterator<Item = (&'a Connection, &'a Share)> {
        record.shares.iter().filter_map(|(connection, share)| {
            let connection = self.connections.get(connection)?;
            Some((connection, connection.shares.get(share)?))
        })
    }

    /// The name of an org that a stamp names, if it is this one or a partner.
    #[must_use]
    pub fn org_name(&self, id: OrgId) -> Option<&OrgName> {
        let own = self.org.as_ref().filter(|org| org.id == id).map(|org| &org.name);
        own.or_else(|| {
            self.connections.values().filter_map(|c| c.partner.as_ref()).find(|name| OrgId::from(*name) == id)
        })
    }

    /// The canonical hash.
    #[must_use]
    pub fn hash(&self) -> StateHash {
        // A hasher that is fed a few bytes at a time cannot work on many pieces at once.
        let mut out = io::BufWriter::with_capacity(HASHED_AT_ONCE_BYTES, StateHash::hasher());
        self.write(&mut out);
        // A hasher refuses nothing, so nothing stays behind in the buffer.
        #[expect(clippy::expect_used)]
        let hasher = out.into_inner().expect("a hasher that takes all bytes");
        StateHash(*hasher.finalize().as_bytes())
    }

    /// The state as bytes, for a snapshot on disk.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }

    fn write(&self, out: &mut impl io::Write) {
        let mut serializer = rmp_serde::Serializer::new(out).with_struct_map();
        // Neither a hasher nor memory can refuse bytes, and no map has an unknown length.
        #[expect(clippy::expect_used)]
        self.serialize(&mut serializer).expect("writing to memory");
    }

    /// A state from the bytes of a snapshot.
    ///
    /// # Errors
    /// The bytes are not a state of this format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut state: Self = rmp_serde::from_slice(bytes).map_err(SnapshotError)?;
        state.derive();
        Ok(state)
    }

    /// Rebuilds what is derived.
    fn derive(&mut self) {
        self.by_object.clear();
        for (id, record) in self.records.iter().filter(|(_, record)| !record.deleted) {
            self.by_object.entry(record.object.clone()).or_default().insert(*id);
        }
        self.link_index.clear();
        for (id, record) in self.records.iter().filter(|(_, record)| !record.deleted) {
            self.link_index.add(*id, record);
        }
        self.rules = self
            .objects
            .iter()
            .map(|(name, schema)| (name.clone(), Arc::new(CompiledRules::compile(schema))))
            .collect();
        self.carried = carried::of(&self.objects);
        self.derive_tokens();
        self.derive_sharing();
        self.derive_automation();
        for connection in self.connections.values_mut() {
            connection.derive();
        }
        self.requests.derive();
        self.effects.derive();
    }

    /// Puts an object in place, with its rules.
    pub(crate) fn set_object(&mut self, schema: ObjectSchema) {
        self.rules.insert(schema.name.clone(), Arc::new(CompiledRules::compile(&schema)));
        self.automation.compile(&schema);
        let before = self.objects.get(&schema.name);
        self.automation.forget_computations(before.map(AsRef::as_ref), &schema);
        self.objects.insert(schema.name.clone(), Arc::new(schema));
        self.carried = carried::of(&self.objects);
    }

    /// The fields that other records carry, by object.
    #[must_use]
    pub const fn carried(&self) -> &BTreeMap<ObjectName, Carried> {
        &self.carried
    }

    /// Whether values wait for approval.
    #[must_use]
    pub fn has_approvals(&self) -> bool {
        !self.approvals.is_empty()
    }

    /// Forgets an object; nothing stands on it.
    pub(crate) fn remove_object(&mut self, object: &ObjectName) {
        self.objects.remove(object);
        self.rules.remove(object);
        self.automation.computations.remove(object);
        if self.by_object.contains_key(object) {
            self.by_object.remove(object);
        }
    }

    /// Keeps the index of records per object.
    pub(crate) fn index_record(&mut self, object: &ObjectName, record: RecordId, present: bool) {
        let ids = self.by_object.entry(object.clone()).or_default();
        if present {
            ids.insert(record);
        } else {
            ids.remove(&record);
        }
    }

    /// Keeps an alarm, and forgets the oldest.
    pub(crate) fn raise(&mut self, time: Timestamp, alarm: AlarmRaised) {
        self.alarms.push(Alarm { time, alarm });
        if self.alarms.len() > ALARMS_KEPT {
            self.alarms.remove(0);
        }
    }
}
