//! Connections as one side keeps them: the agreement, the rules, both directions, the shares.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::account::AccountRule;
use crate::frame::{Chain, Figure};
use crate::invitation::InvitedContact;
use crate::limits::HELD_FOR_PAUSE_MAX;
use crate::mapping::{ComputedMappings, SubscribeRule};
use crate::message::{OutcomeDetail, ParentLink, PausedObject, Subscription};
use crate::outcome::{Counts, Outcome};
use crate::owner_map::{OwnerMap, UnmappedOwners};
use crate::publish::{CatalogueObject, PublishRule};
use crate::state::{
    Bulk, Conflicts, Former, NotedDrift, OwnKeys, Pauses, Postponement, Share, ShareRole, UnmappedValues,
};
use crate::template::GivenTemplate;
use crate::{
    ConnectionId, Incarnation, ObjectName, OrgName, Position, RecordId, Seq, ShareId, Timestamp, UserName,
};

/// Most failures that a connection keeps at hand; the log keeps all.
const FAILURES_KEPT: usize = 500;

/// Which side of the agreement this org is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// We invited.
    Inviter,
    /// We were invited.
    Invited,
}

/// How the agreement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionStatus {
    /// Not answered, or answered and not yet confirmed.
    Pending,
    /// Agreed.
    Active,
    /// The invited org said no, or the answer was refused.
    Declined,
    /// The inviter took the invitation back.
    Revoked,
    /// One side ended it.
    Deactivated,
}

impl ConnectionStatus {
    /// Every status.
    pub const ALL: &'static [Self] =
        &[Self::Pending, Self::Active, Self::Declined, Self::Revoked, Self::Deactivated];

    /// The status in API, CLI and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Declined => "declined",
            Self::Revoked => "revoked",
            Self::Deactivated => "deactivated",
        }
    }
}

/// The agreed link with one partner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Its id, the same on both sides.
    pub id: ConnectionId,
    /// Which side we are.
    pub side: Side,
    /// How it stands.
    pub status: ConnectionStatus,
    /// What it is called here.
    pub label: String,
    /// The partner, once it is known.
    pub partner: Option<OrgName>,
    /// The partner's public key, once it is known.
    pub partner_key: Option<serde_bytes::ByteArray<32>>,
    /// The partner's public key before that one.
    #[serde(default)]
    pub former_partner_key: Option<Former<serde_bytes::ByteArray<32>>>,
    /// Our own keys.
    #[serde(default)]
    pub own_keys: OwnKeys,
    /// The hash of the one-time secret, from which the keys of both directions are derived.
    pub secret_hash: serde_bytes::ByteArray<32>,
    /// Who manages it here.
    pub owner: UserName,
    /// The company of the partner, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner_company: Option<String>,
    /// Who manages it there.
    pub partner_owner: Option<UserName>,
    /// Our answer, if we were invited and have answered.
    pub answer: Option<bool>,
    /// Why it was declined or refused.
    pub declined: Option<String>,
    /// When it was made here.
    pub created: Timestamp,
    /// When the invitation ends.
    pub expires: Option<Timestamp>,
    /// When both sides had agreed, or when it was declined.
    pub answered: Option<Timestamp>,
    /// The contact that the invitation was mailed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<InvitedContact>,
    /// Who answered there, or here if we were invited (S2S-11).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<UserName>,
    /// An invited org told that it decides later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postponed: Option<Postponement>,
    /// When it was deactivated.
    pub ended: Option<Timestamp>,
    /// Stopped until a person looks at it.
    pub suspended: bool,
    /// The life of the partner's log.
    pub partner_incarnation: Incarnation,
    /// When we last found our own tail lost by this partner's word.
    pub tail_lost: Option<Timestamp>,
    /// One of the two logs has had a new life: the partner may know shares that we forgot.
    pub recovering: bool,
    /// The partner's share states are awaited up to the last run.
    pub reconciling: bool,
    /// What we publish.
    pub publish: BTreeMap<ObjectName, PublishRule>,
    /// What we take, by the partner's object.
    pub subscribe: BTreeMap<ObjectName, SubscribeRule>,
    /// The template that it was given last.
    #[serde(default)]
    pub template: Option<GivenTemplate>,
    /// The last version that a subscribe rule was given.
    #[serde(default)]
    pub mapping_version: u32,
    /// How the accounts of what is taken are found or made, by the partner's object.
    #[serde(default)]
    pub accounts: BTreeMap<ObjectName, AccountRule>,
    /// Who owns here what the partner's users own.
    #[serde(default, skip_serializing_if = "OwnerMap::is_empty")]
    pub owners: OwnerMap,
    /// Owners of the partner that the table does not have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unmapped_owners: UnmappedOwners,
    /// What the partner publishes.
    pub catalogue: BTreeMap<ObjectName, CatalogueObject>,
    /// What the partner takes, by our object.
    pub taken: BTreeMap<ObjectName, Subscription>,
    /// What we send.
    pub outbox: Outbox,
    /// What we receive.
    pub inbound: Inbound,
    /// The shares.
    pub shares: Bulk<BTreeMap<ShareId, Share>>,
    /// Shares that only the partner knows, with their generations.
    #[serde(default)]
    pub heard: Bulk<BTreeMap<ShareId, u32>>,
    /// Changes of published fields that are taken, of either side.
    #[serde(default)]
    pub drift: Vec<NotedDrift>,
    /// Picklist values that came without a mapping.
    #[serde(default)]
    pub unmapped: UnmappedValues,
    /// Computed mappings by the partner's object, ready to run, derived.
    #[serde(skip)]
    pub(crate) computed: Compiled,
    /// The newest failures in both directions.
    pub failures: VecDeque<Failure>,
    /// What of it is paused (OPS-15).
    #[serde(default)]
    pub pauses: Pauses,
    /// Values that were lost against others, by the object here (S2S-51).
    #[serde(default)]
    pub conflicts: BTreeMap<ObjectName, Conflicts>,
    /// The pages of the log that hold something of its audit, in order (S2S-73).
    #[serde(default)]
    pub audit_pages: Vec<u32>,
    /// Held messages by the time when they are tried again, derived.
    #[serde(skip)]
    pub(crate) held_by_time: Bulk<BTreeSet<(Timestamp, Position)>>,
    /// Held messages by share, derived: what follows on the same share waits behind them.
    #[serde(skip)]
    pub(crate) held_by_share: Bulk<BTreeMap<(ShareId, Position), Timestamp>>,
    /// The shares that belong to another one, derived.
    #[serde(skip)]
    pub(crate) children: BTreeMap<ShareId, BTreeSet<ShareId>>,
    /// Held messages by the share that they wait for, derived.
    #[serde(skip)]
    pub(crate) held_by_parent: Bulk<BTreeSet<(ShareId, Position)>>,
}

/// One direction: positions given out, and what the partner has confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Outbox {
    /// The partner durably has everything up to here, as far as the log knows.
    pub receipt: Figure,
    /// The positions after the receipt, in order.
    pub entries: Bulk<VecDeque<OutboxEntry>>,
    /// Counted messages sent in this pair of incarnations.
    pub counted: u64,
    /// How the partner's outcomes add up.
    pub outcomes: Counts,
    /// Outcomes are known for our positions up to here.
    pub told: Position,
}

/// Where the message of a position comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// The event that made it.
    pub seq: Seq,
    /// The chain up to and with it.
    pub chain: Chain,
}

impl Outbox {
    /// The last position given out and its chain.
    #[must_use]
    pub fn head(&self) -> Figure {
        let position = Position(self.receipt.position.0 + self.entries.len() as u64);
        Figure { position, chain: self.entries.back().map_or(self.receipt.chain, |entry| entry.chain) }
    }

    /// The entry of a position that has no receipt yet.
    #[must_use]
    pub fn entry(&self, position: Position) -> Option<&OutboxEntry> {
        let at = position.0.checked_sub(self.receipt.position.0 + 1)?;
        self.entries.get(usize::try_from(at).ok()?)
    }

    /// The chain at a position from the receipt on.
    #[must_use]
    pub fn chain_at(&self, position: Position) -> Option<Chain> {
        if position == self.receipt.position {
            return Some(self.receipt.chain);
        }
        self.entry(position).map(|entry| entry.chain)
    }
}

/// The other direction: what was taken, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Inbound {
    /// The highest position taken, and its chain.
    pub received: Figure,
    /// How the received messages ended.
    pub counts: Counts,
    /// Outcomes that the partner has not been told.
    pub unreported: Vec<UnreportedOutcome>,
    /// The partner's positions up to the first are told among ours up to the second.
    pub told: (Position, Position),
    /// Messages that wait for their time.
    pub held: Bulk<BTreeMap<Position, HeldMessage>>,
}

/// An outcome that the partner has not been told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreportedOutcome {
    /// The outcome.
    pub outcome: Outcome,
    /// What there is to say about it.
    pub detail: Option<OutcomeDetail>,
}

/// A message that cannot be tried yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldMessage {
    /// Its kind.
    pub kind: u16,
    /// Its body.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
    /// When it is tried again.
    pub until: Timestamp,
    /// The share whose record it waits for, if it waits for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ShareId>,
    /// The share that it is for: later messages of the share wait behind it.
    #[serde(default)]
    pub share: Option<ShareId>,
    /// The object here: as long as that is paused, it is not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectName>,
}

/// Something that did not go through, for people to look at (S2S-54).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When it was noticed here.
    pub time: Timestamp,
    /// Whether the partner refused ours; else we refused the partner's.
    pub at_partner: bool,
    /// The message and its reasons.
    pub detail: OutcomeDetail,
    /// The local record, where there is one.
    pub record: Option<RecordId>,
    /// The reasons in words; only codes are known of what the partner refused.
    pub messages: Vec<String>,
}

/// Computed mappings by the partner's object. They follow from rules and catalogue, which are compared.
#[derive(Debug, Clone, Default)]
pub(crate) struct Compiled(BTreeMap<ObjectName, Arc<ComputedMappings>>);

impl PartialEq for Compiled {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Compiled {}

impl Compiled {
    /// Those of an object, if it has any.
    pub(crate) fn get(&self, remote: &ObjectName) -> Option<&ComputedMappings> {
        self.0.get(remote).map(AsRef::as_ref)
    }
}

impl Connection {
    /// Compiles the computed mappings of an object anew.
    pub(crate) fn compile(&mut self, remote: &ObjectName) {
        let rule = self.subscribe.get(remote);
        let mappings = rule.map(|rule| ComputedMappings::compile(rule, self.catalogue.get(remote)));
        match mappings.filter(|mappings| !mappings.is_empty()) {
            Some(mappings) => drop(self.computed.0.insert(remote.clone(), Arc::new(mappings))),
            None => drop(self.computed.0.remove(remote)),
        }
    }

    /// Compiles all computed mappings anew.
    pub(crate) fn compile_all(&mut self) {
        self.computed = Compiled::default();
        for remote in self.subscribe.keys().cloned().collect::<Vec<_>>() {
            self.compile(&remote);
        }
    }

    /// Whether records may be shared over it.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status == ConnectionStatus::Active && !self.suspended
    }

    /// Whether both sides have agreed, so that frames may come and go.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        self.partner.is_some()
            && self.partner_key.is_some()
            && matches!(self.status, ConnectionStatus::Active | ConnectionStatus::Deactivated)
            && self.answered.is_some()
    }

    /// The partner's name, or the label before it is known.
    #[must_use]
    pub fn display_name(&self) -> &str {
        self.partner.as_ref().map_or(self.label.as_str(), OrgName::as_str)
    }

    /// Notes that the event `seq` belongs to the audit.
    pub(crate) fn note_audit(&mut self, seq: Seq) {
        crate::audit::note(&mut self.audit_pages, seq);
    }

    /// Keeps a failure, and forgets the oldest.
    pub(crate) fn note_failure(&mut self, failure: Failure) {
        self.failures.push_back(failure);
        if self.failures.len() > FAILURES_KEPT {
            self.failures.pop_front();
        }
    }

    /// The first held message whose time has come.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Option<Position> {
        self.held_by_time.first().filter(|(until, _)| *until <= now).map(|(_, position)| *position)
    }

    /// When the last held message of a share is tried again.
    #[must_use]
    pub fn held_until(&self, share: ShareId) -> Option<Timestamp> {
        self.held_before(share, Position(u64::MAX)).map(|held| held.until)
    }

    /// The last held message of a share before a position.
    #[must_use]
    pub fn held_before(&self, share: ShareId, position: Position) -> Option<&HeldMessage> {
        let before = (share, Position(0))..(share, position);
        let ((_, last), _) = self.held_by_share.range(before).next_back()?;
        self.inbound.held.get(last)
    }

    /// The held messages that wait for the record of a share.
    pub fn held_for(&self, parent: ShareId) -> impl Iterator<Item = (Position, &HeldMessage)> {
        let of_parent = (parent, Position(0))..=(parent, Position(u64::MAX));
        let positions = self.held_by_parent.range(of_parent).map(|(_, position)| *position);
        positions.filter_map(|position| Some((position, self.inbound.held.get(&position)?)))
    }

    /// How many messages wait for the record of a share.
    #[must_use]
    pub fn held_for_parents(&self) -> usize {
        self.held_by_parent.len()
    }

    /// Whether nothing is taken for now: it is paused here, or an object of it is, and so much is held
    /// that the partner has to keep the rest.
    #[must_use]
    pub fn takes_nothing(&self) -> bool {
        let full = || !self.pauses.objects.is_empty() && self.inbound.held.len() >= HELD_FOR_PAUSE_MAX;
        self.pauses.ours.is_some() || full()
    }

    /// Whether an object here is paused, on either side.
    #[must_use]
    pub fn object_paused(&self, object: &ObjectName) -> bool {
        let pauses = &self.pauses;
        let by_partner = |paused: &PausedObject| {
            paused.theirs.as_ref() == Some(object)
                || self.subscribe.get(&paused.object).is_some_and(|rule| rule.local == *object)
        };
        pauses.objects.contains_key(object) || pauses.partner_objects.iter().any(by_partner)
    }

    /// Whether changes of an object here make no messages for now.
    #[must_use]
    pub fn holds_back(&self, object: &ObjectName) -> bool {
        self.pauses.any() && (self.pauses.whole() || self.object_paused(object))
    }

    /// The object here of a share, or of a partner's object if the share is not known yet.
    #[must_use]
    pub fn local_object<'a>(
        &'a self,
        share: ShareId,
        remote: Option<&'a ObjectName>,
    ) -> Option<&'a ObjectName> {
        let of = |remote| self.subscribe.get(remote).map(|rule| &rule.local);
        match self.shares.get(&share) {
            Some(share) if share.role == ShareRole::Origin => Some(&share.object),
            Some(share) => of(&share.object),
            None => remote.and_then(of),
        }
    }

    /// When a held message is tried: never as long as its object is paused.
    fn tried_at(&self, held: &HeldMessage) -> Timestamp {
        let paused = held.object.as_ref().is_some_and(|object| self.pauses.objects.contains_key(object));
        if paused { Timestamp(i64::MAX) } else { held.until }
    }

    /// Keeps a message that cannot be tried yet.
    pub(crate) fn hold(&mut self, position: Position, held: HeldMessage) {
        self.index_held(position, self.tried_at(&held), held.share, held.parent);
        self.inbound.held.insert(position, held);
    }

    /// Lets go of a held message.
    pub(crate) fn let_go(&mut self, position: Position) -> Option<HeldMessage> {
        let held = self.inbound.held.remove(&position)?;
        let due = self.tried_at(&held);
        self.held_by_time.remove(&(due, position));
        if let Some(share) = held.share {
            self.held_by_share.remove(&(share, position));
        }
        if let Some(parent) = held.parent {
            self.held_by_parent.remove(&(parent, position));
        }
        Some(held)
    }

    fn index_held(
        &mut self,
        position: Position,
        until: Timestamp,
        share: Option<ShareId>,
        parent: Option<ShareId>,
    ) {
        self.held_by_time.insert((until, position));
        if let Some(parent) = parent {
            self.held_by_parent.insert((parent, position));
        }
        if let Some(share) = share {
            self.held_by_share.insert((share, position), until);
        }
    }

    /// Notes that a share belongs to others.
    pub(crate) fn set_child(&mut self, child: ShareId, parents: &[ParentLink]) {
        for parent in parents {
            self.children.entry(parent.share).or_default().insert(child);
        }
    }

    /// The open shares that belonged to `parent` and belong to nothing that is shared any more.
    pub(crate) fn lost_children(&self, parent: ShareId) -> Vec<ShareId> {
        let is_lost = |child: &&ShareId| {
            let share = self.shares.get(*child);
            let belongs = |share: &&Share| share.parents.iter().any(|link| link.share == parent);
            share.filter(belongs).is_some_and(|share| self.is_lost(share, |_| false))
        };
        self.children.get(&parent).into_iter().flatten().filter(is_lost).copied().collect()
    }

    /// Whether an open share belongs to nothing that is shared, if those that `ends` names are not.
    pub(crate) fn is_lost(&self, share: &Share, ends: impl Fn(ShareId) -> bool) -> bool {
        let stays =
            |link: &ParentLink| !ends(link.share) && self.shares.get(&link.share).is_some_and(Share::is_open);
        share.is_open() && !share.parents.iter().any(stays)
    }

    /// Rebuilds what is derived.
    pub(crate) fn derive(&mut self) {
        self.children.clear();
        let children: Vec<_> = self
            .shares
            .iter()
            .filter(|(_, share)| !share.parents.is_empty())
            .map(|(id, share)| (*id, share.parents.clone()))
            .collect();
        for (child, parents) in children {
            self.set_child(child, &parents);
        }
        self.compile_all();
        self.held_by_time.clear();
        self.held_by_share.clear();
        self.held_by_parent.clear();
        let held = self.inbound.held.iter();
        let held = held.map(|(p, held)| (*p, self.tried_at(held), held.share, held.parent));
        for (position, until, share, parent) in held.collect::<Vec<_>>() {
            self.index_held(position, until, share, parent);
        }
    }
}
