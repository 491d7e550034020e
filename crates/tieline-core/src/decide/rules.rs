//! What is published and subscribed over a connection.

use crate::account::AccountRule;
use crate::command::{Refusal, Reply};
use crate::decide::automation::check_owner;
use crate::decide::draft::Draft;
use crate::decide::{control, jobs, profile, record, share};
use crate::drift;
use crate::event::{CatalogueSent, DriftNoted, PublishRuleSet, SubscribeRuleSet, SubscriptionSent};
use crate::job::JobKind;
use crate::mapping::SubscribeRule;
use crate::message::{Catalogue, Subscription, SubscriptionNotice};
use crate::publish::{CatalogueObject, PublishRule, catalogue_object};
use crate::reason::{Reason, ReasonCode};
use crate::state::{Connection, State};
use crate::{ConnectionId, FieldName, ObjectName};

/// Sets what is published of an object (S2S-20, S2S-22): the partner sees its new catalogue, and
/// gets the values of fields that it took and that became visible.
pub(super) fn publish(
    draft: &mut Draft<'_>,
    id: ConnectionId,
    name: &ObjectName,
    rule: Option<&PublishRule>,
) -> Result<Reply, Refusal> {
    let connection = share::active(draft.state, id)?;
    let known = connection.publish.get(name);
    let Some(rule) = rule else {
        if known.is_none() {
            return Ok(Reply::Unchanged);
        }
        let before = known.zip(draft.state.object(name)).map(|(rule, object)| catalogue_object(object, rule));
        note_drift(draft, connection, name, before, None);
        set_publish(draft, connection, name, None);
        send_catalogue(draft, connection, Vec::new(), vec![name.clone()], false);
        return Ok(Reply::Connection(id));
    };
    let object = record::object(draft.state, name)?;
    let rule =
        PublishRule::new(name.clone(), rule.fields.clone(), known.map_or(0, |known| known.version) + 1)
            .with_owners(rule.owners);
    if known.is_some_and(|known| known.fields == rule.fields && known.owners == rule.owners) {
        return Ok(Reply::Unchanged);
    }
    rule.check(object).map_err(Refusal::record)?;
    let new: Vec<FieldName> = rule
        .fields
        .iter()
        .filter(|field| known.is_none_or(|known| !known.publishes(field)))
        .cloned()
        .collect();
    let tells_owners = rule.owners && !known.is_some_and(|known| known.owners);
    let entry = catalogue_object(object, &rule);
    note_drift(draft, connection, name, known.map(|known| catalogue_object(object, known)), Some(&entry));
    set_publish(draft, connection, name, Some(rule));
    send_catalogue(draft, connection, vec![entry], Vec::new(), false);
    if connection.taken.get(name).is_some_and(|taken| new.iter().any(|field| taken.fields.contains(field))) {
        jobs::begin(draft, JobKind::Backfill { connection: id, object: name.clone(), fields: new });
    }
    if tells_owners {
        tell_owners(draft, connection, name);
    }
    Ok(Reply::Connection(id))
}

/// Tells the owners of what is shared of an object.
fn tell_owners(draft: &mut Draft<'_>, connection: &Connection, object: &ObjectName) {
    if !connection.shares.is_empty() {
        jobs::begin(draft, JobKind::TellOwners { connection: connection.id, object: object.clone() });
    }
}

/// Notes what a partner takes of an object and will not get as before (S2S-31).
pub(super) fn note_drift(
    draft: &mut Draft<'_>,
    connection: &Connection,
    name: &ObjectName,
    before: Option<CatalogueObject>,
    after: Option<&CatalogueObject>,
) {
    let Some((taken, before)) = connection.taken.get(name).zip(before) else { return };
    let changes = drift::changes_taken(&before, after, taken);
    if !changes.is_empty() {
        draft.emit(DriftNoted { connection: connection.id, object: name.clone(), ours: true, changes });
    }
}

fn set_publish(
    draft: &mut Draft<'_>,
    connection: &Connection,
    object: &ObjectName,
    rule: Option<PublishRule>,
) {
    let actor = draft.actor.clone();
    draft.emit(PublishRuleSet { connection: connection.id, object: object.clone(), rule, actor });
}

fn send_catalogue(
    draft: &mut Draft<'_>,
    connection: &Connection,
    objects: Vec<CatalogueObject>,
    removed: Vec<ObjectName>,
    full: bool,
) {
    let position = draft.position(connection);
    let catalogue = Catalogue { full, objects, removed };
    draft.emit(CatalogueSent { connection: connection.id, position, catalogue });
}

/// Sends everything that is published, and everything that is taken: after a restore neither side
/// knows what the other has.
pub(super) fn send_all(draft: &mut Draft<'_>, connection: &Connection) {
    let state = draft.state;
    let objects = connection
        .publish
        .iter()
        .filter_map(|(name, rule)| Some(catalogue_object(state.object(name)?.as_ref(), rule)));
    send_catalogue(draft, connection, objects.collect(), Vec::new(), true);
    let account = |rule: &SubscribeRule| connection.accounts.get(&rule.remote);
    let objects = connection.subscribe.values().map(|rule| subscription(rule, account(rule))).collect();
    send_subscription(draft, connection, objects, Vec::new(), true);
    profile::tell(draft, connection);
    for rule in connection.publish.values().filter(|rule| rule.owners) {
        tell_owners(draft, connection, &rule.object);
    }
}

/// Tells the partner what is taken of an object, the fields of its accounts included.
pub(super) fn tell_subscription(
    draft: &mut Draft<'_>,
    connection: &Connection,
    rule: &SubscribeRule,
    account: Option<&AccountRule>,
) {
    send_subscription(draft, connection, vec![subscription(rule, account)], Vec::new(), false);
}

fn subscription(rule: &SubscribeRule, account: Option<&AccountRule>) -> Subscription {
    let mut fields: Vec<FieldName> =
        rule.fields.iter().flat_map(|mapping| mapping.reads().cloned()).collect();
    fields.extend(account.into_iter().flat_map(|account| account.fields.values().cloned()));
    fields.sort_unstable();
    fields.dedup();
    Subscription { object: rule.remote.clone(), local: rule.local.clone(), fields, version: rule.version }
}

fn send_subscription(
    draft: &mut Draft<'_>,
    connection: &Connection,
    objects: Vec<Subscription>,
    removed: Vec<ObjectName>,
    full: bool,
) {
    let position = draft.position(connection);
    let notice = SubscriptionNotice { full, objects, removed };
    draft.emit(SubscriptionSent { connection: connection.id, position, notice });
}

/// Sets what is taken of a partner's object (S2S-21, S2S-25 to S2S-29): the partner is told, and
/// sends the values of what is newly taken.
pub(super) fn subscribe(
    draft: &mut Draft<'_>,
    id: ConnectionId,
    remote: &ObjectName,
    rule: Option<&SubscribeRule>,
) -> Result<Reply, Refusal> {
    let connection = share::active(draft.state, id)?;
    let known = connection.subscribe.get(remote);
    let actor = draft.actor.clone();
    let Some(rule) = rule else {
        if known.is_none() {
            return Ok(Reply::Unchanged);
        }
        draft.emit(SubscribeRuleSet { connection: id, object: remote.clone(), rule: None, actor });
        send_subscription(draft, connection, Vec::new(), vec![remote.clone()], false);
        return Ok(Reply::Connection(id));
    };
    // A version is never given twice, also after the rule was taken away: values remember theirs.
    let next = connection.mapping_version + 1;
    let mut rule = SubscribeRule { remote: remote.clone(), version: next, ..rule.clone() };
    rule.fields.sort_by(|a, b| a.local.cmp(&b.local));
    rule.note_inputs(connection.catalogue.get(remote));
    if known.is_some_and(|known| *known == SubscribeRule { version: known.version, ..rule.clone() }) {
        return Ok(Reply::Unchanged);
    }
    check_subscription(draft.state, connection, &rule)?;
    if let Some(owner) = rule.owner.as_ref().filter(|owner| owner.queue().is_some()) {
        check_owner(draft.state, &rule.local, owner)?;
    }
    let notice = subscription(&rule, connection.accounts.get(remote));
    draft.emit(SubscribeRuleSet { connection: id, object: remote.clone(), rule: Some(rule), actor });
    send_subscription(draft, connection, vec![notice], Vec::new(), false);
    if connection.shares.values().any(|share| control::waits(draft.state, connection, share)) {
        jobs::begin(draft, JobKind::Retry { connection: id });
    }
    Ok(Reply::Connection(id))
}

fn check_subscription(state: &State, connection: &Connection, rule: &SubscribeRule) -> Result<(), Refusal> {
    let object = record::object(state, &rule.local)?;
    let Some(catalogue) = connection.catalogue.get(&rule.remote) else {
        let text = format!(
            "{} does not publish {}: see its catalogue with `tieline connection show`",
            connection.display_name(),
            rule.remote
        );
        return Err(Refusal::conflict("not_in_catalogue", text));
    };
    let mut reasons = rule.check(object, catalogue).err().unwrap_or_default();
    // S2S-27: one source per target; S2S-26: the pair is fixed from either side.
    let second =
        connection.subscribe.values().find(|other| other.remote != rule.remote && other.local == rule.local);
    if let Some(other) = second {
        let text = format!("{} is already mapped from {} on this connection", rule.local, other.remote);
        reasons.push(Reason::new(ReasonCode::SecondSource, text));
    }
    // Of two rules that crossed, ours may stand: then it may be changed, too.
    let known = connection.subscribe.get(&rule.remote).filter(|known| known.local == rule.local);
    let pair = connection.contradicted(&rule.remote, &rule.local);
    if let Some(taken) = pair.filter(|_| known.is_none() || !connection.stands()) {
        let text = format!(
            "{} maps our {} to its {}: map {} to {} here, or nothing",
            connection.display_name(),
            taken.object,
            taken.local,
            taken.local,
            taken.object
        );
        reasons.push(Reason::new(ReasonCode::MappingConflict, text));
    }
    if reasons.is_empty() { Ok(()) } else { Err(Refusal::record(reasons)) }
}
