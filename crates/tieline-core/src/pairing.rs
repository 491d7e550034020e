//! Which objects of two orgs belong together over one connection (S2S-26, S2S-27).
//!
//! The first mapping of either side fixes a pair: once one side maps the other's object to one of its
//! own, neither of the two may be mapped to anything else over that connection. Both daemons refuse a
//! rule that contradicts what they know. Two rules that are saved at the same moment can cross on their
//! way; then the one of the inviter stands, on both sides, and the other one takes nothing new.

use crate::mapping::SubscribeRule;
use crate::message::Subscription;
use crate::schema::{ObjectSchema, compatible, supported};
use crate::state::{Connection, Side, State};
use crate::{FieldName, ObjectName};

/// Most objects that are suggested for one object of a partner.
const CANDIDATES_MAX: usize = 20;

/// What an object of a partner may be mapped to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// The partner's object.
    pub remote: ObjectName,
    /// The object that it is mapped to already.
    pub mapped: Option<ObjectName>,
    /// The objects that it may be mapped to, those with the most fields in common first.
    pub candidates: Vec<Candidate>,
}

/// One object that a partner's object may be mapped to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The object of this org.
    pub local: ObjectName,
    /// Fields of the same name whose types fit: the partner's, and this org's.
    pub fields: Vec<(FieldName, FieldName)>,
}

impl Connection {
    /// The partner's mapping that one from `remote` to `local` contradicts.
    #[must_use]
    pub fn contradicted(&self, remote: &ObjectName, local: &ObjectName) -> Option<&Subscription> {
        self.taken.values().find(|taken| (taken.object == *local) != (taken.local == *remote))
    }

    /// Whether the mappings of this side stand where two contradict each other.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.side == Side::Inviter
    }

    /// The partner's mapping for which a rule of ours takes nothing new.
    #[must_use]
    pub fn overrules(&self, rule: &SubscribeRule) -> Option<&Subscription> {
        self.contradicted(&rule.remote, &rule.local).filter(|_| !self.stands())
    }
}

/// What each object that the partner publishes may be mapped to. An object that is mapped already,
/// here or there, is offered for nothing else.
#[must_use]
pub fn suggestions(state: &State, connection: &Connection) -> Vec<Suggestion> {
    let suggest = |remote: &ObjectName| {
        let mapped = connection.subscribe.get(remote).map(|rule| rule.local.clone());
        let objects = state.objects.values().map(AsRef::as_ref).filter(|_| mapped.is_none());
        let free = objects.filter(|object| may_pair(connection, remote, &object.name));
        let mut candidates: Vec<Candidate> =
            free.map(|object| candidate(connection, remote, object)).collect();
        candidates.sort_by(|a, b| b.fields.len().cmp(&a.fields.len()).then_with(|| a.local.cmp(&b.local)));
        candidates.truncate(CANDIDATES_MAX);
        Suggestion { remote: remote.clone(), mapped, candidates }
    };
    connection.catalogue.keys().map(suggest).collect()
}

/// Whether a new rule may map `remote` to `local`.
fn may_pair(connection: &Connection, remote: &ObjectName, local: &ObjectName) -> bool {
    let fits = local == remote || local.is_custom() && remote.is_custom();
    fits && supported(local).is_ok()
        && connection.subscribe.values().all(|rule| rule.local != *local)
        && connection.contradicted(remote, local).is_none()
}

fn candidate(connection: &Connection, remote: &ObjectName, local: &ObjectSchema) -> Candidate {
    let published = connection.catalogue.get(remote).into_iter().flat_map(|object| &object.fields);
    let fields = published.filter_map(|field| {
        let ours = local.field_named(field.name.as_str()).filter(|ours| ours.updatable)?;
        compatible(field.field_type, ours.field_type).ok()?;
        Some((field.name.clone(), ours.name.clone()))
    });
    Candidate { local: local.name.clone(), fields: fields.collect() }
}
