//! Shares: offer, accept, decline, grant, refuse, end.
//!
//! The writer of the origin's org decides acceptances one by one, so of several partners that
//! accept at the same moment exactly one gets the record, and the others are told (S2S-45).

use smol_str::SmolStr;

use crate::account::parent_fields;
use crate::command::{Refusal, Reply};
use crate::content::Content;
use crate::decide::automation::check_owner;
use crate::decide::draft::Draft;
use crate::decide::write::{carried, is_open, shared_content};
use crate::decide::{links, owner, pause, record, task};
use crate::event::{
    Closing, Delivery, GrantRequested, OfferAnswered, ShareClosed, ShareGranted, ShareOffered, ShareRefused,
    SnapshotSent,
};
use crate::mapping::SubscribeRule;
use crate::message::EndReason;
use crate::publish;
use crate::reason::{Reason, ReasonCode, quoted};
use crate::sharing::{Forwarding, is_task};
use crate::state::{Connection, ConnectionStatus, Record, Share, ShareRole, ShareStatus, State};
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{
    AssignTo, ConnectionId, FieldName, ObjectName, OrgName, Owner, RecordId, ShareId, Timestamp, UserName,
};

/// A connection over which records may be shared now.
pub(super) fn active(state: &State, id: ConnectionId) -> Result<&Connection, Refusal> {
    let connection = super::connection::find(state, id)?;
    if connection.is_active() {
        return Ok(connection);
    }
    let status = if connection.suspended && connection.status == ConnectionStatus::Active {
        "suspended: look at its alarm and resume it"
    } else {
        connection.status.as_str()
    };
    let text = format!("connection {} is {status}", connection.display_name());
    Err(Refusal::conflict("connection_not_active", text))
}

/// Refuses what is not published over a connection.
pub(super) fn published(connection: &Connection, object: &ObjectName) -> Result<(), Refusal> {
    if connection.publish.contains_key(object) {
        return Ok(());
    }
    let text = format!(
        "{object} is not published to {}: publish it first with `tieline publish set`",
        connection.display_name()
    );
    Err(Refusal::conflict("not_published", text))
}

/// Refuses objects whose records only queues and rules share (S2S-41).
pub(super) fn by_hand(state: &State, object: &ObjectName) -> Result<(), Refusal> {
    if state.object(object).is_none_or(|object| object.sharing_by_hand) {
        return Ok(());
    }
    let text = format!(
        "records of {object} are shared by queues and rules only: whoever may do everything changes that with \
         sharing_by_hand in its file"
    );
    Err(Refusal::conflict("not_by_hand", text))
}

/// Offers a record because a person asks (S2S-41).
pub(super) fn forward_by_hand(
    draft: &mut Draft<'_>,
    id: RecordId,
    over: ConnectionId,
    how: Forwarding,
) -> Result<Reply, Refusal> {
    by_hand(draft.state, &record::find(draft.state, id)?.object)?;
    forward(draft, id, over, how)
}

/// Offers a record; a task goes to those who have what it belongs to (S2S-44).
pub(super) fn forward(
    draft: &mut Draft<'_>,
    id: RecordId,
    over: ConnectionId,
    how: Forwarding,
) -> Result<Reply, Refusal> {
    let connection = active(draft.state, over)?;
    let record = record::find(draft.state, id)?;
    published(connection, &record.object)?;
    if super::convert::is_converted(record) {
        let text = format!("the lead {id} was converted: share what it became");
        return Err(Refusal::conflict("converted", text));
    }
    pause::check_object(connection, &record.object)?;
    let known = record.share_over(over);
    if let Some(share) = known.and_then(|share| connection.shares.get(&share)).filter(|share| is_open(share))
    {
        let text =
            format!("record {id} is already {} to {}", share.status.label(), connection.display_name());
        return Err(Refusal::conflict("already_shared", text));
    }
    if is_task(&record.object) {
        return task::forward(draft, connection, id, record);
    }
    if let Some(holder) = granted_elsewhere(draft.state, record, over, how.many) {
        let text = format!(
            "record {id} is shared with {}, and not with several: stop that share first",
            holder.display_name()
        );
        return Err(Refusal::conflict("taken", text));
    }
    let share = known.unwrap_or_else(|| ShareId::derive(over, &draft.org().name, id));
    let known = connection.shares.get(&share).map(|share| share.generation);
    let generation = known.max(connection.heard.get(&share).copied()).unwrap_or(0) + 1;
    offer(draft, connection, share, generation, id, record, how);
    Ok(Reply::Share(share))
}

/// The other connection that a record of this org was granted to, and that keeps it from this one: of
/// those to whom it was offered with several acceptors, none does (S2S-45).
fn granted_elsewhere<'a>(
    state: &'a State,
    record: &'a Record,
    besides: ConnectionId,
    many: bool,
) -> Option<&'a Connection> {
    state
        .shares_of(record)
        .find(|(connection, share)| {
            let granted = share.role == ShareRole::Origin && share.status == ShareStatus::Active;
            connection.id != besides && granted && !(many && share.how.many)
        })
        .map(|(connection, _)| connection)
}

/// Offers a record at this generation.
pub(super) fn offer(
    draft: &mut Draft<'_>,
    connection: &Connection,
    share: ShareId,
    generation: u32,
    id: RecordId,
    record: &Record,
    how: Forwarding,
) {
    let view_fields =
        draft.state.object(&record.object).map_or(&[][..], |object| object.view_fields.as_slice());
    let carried: VecMap<FieldName, Value> = parent_fields(draft.state, &record.object, record)
        .map(|(name, value, _)| (name.clone(), value))
        .collect();
    let value = |name: &FieldName| carried.get(name).unwrap_or_else(|| record.value(name)).clone();
    // What the partner finds the account by goes along, so that it can be looked at before it is accepted.
    let taken = connection.taken.get(&record.object).map_or(&[][..], |taken| taken.fields.as_slice());
    let asked = carried.keys().filter(|name| taken.contains(name) && !view_fields.contains(name));
    let shown: Vec<_> = view_fields.iter().chain(asked).map(|name| (name.clone(), value(name))).collect();
    let is_shown = |value: &Value| !matches!(value, Value::Null | Value::Reference(_));
    let shown = shown.into_iter().filter(|(_, value)| is_shown(value)).collect();
    let (shown, _) = publish::visible(connection.publish.get(&record.object), shown, |(name, _)| name);
    let preview: VecMap<_, _> = shown.into_iter().collect();
    let references = record.fields.iter().map(|(name, field)| (name, &field.value));
    let links = links::links(draft, connection, references);
    let position = draft.position(connection);
    let actor = draft.actor.clone();
    draft.emit(ShareOffered {
        connection: connection.id,
        share,
        generation,
        record: id,
        object: record.object.clone(),
        preview,
        position,
        actor,
        how,
        hops: 0,
        links,
    });
    links::offered(draft, connection, share, id);
}

fn find(connection: &Connection, id: ShareId) -> Result<&Share, Refusal> {
    connection.shares.get(&id).ok_or_else(|| {
        let text = format!("connection {} has no share {id}", connection.display_name());
        Refusal::not_found("unknown_share", text)
    })
}

/// Accepts an offer: the origin is asked for the grant (S2S-47).
pub(super) fn accept(
    draft: &mut Draft<'_>,
    over: ConnectionId,
    id: ShareId,
    to: Option<&AssignTo>,
    record_type: Option<SmolStr>,
) -> Result<Reply, Refusal> {
    let (connection, share, rule) = offered(draft.state, over, id)?;
    if let Some(kind) = &record_type {
        check_record_type(draft.state, &rule.local, kind)?;
    }
    if let Some(AssignTo::Owner(owner)) = to {
        check_owner(draft.state, &rule.local, owner)?;
    }
    let (owner, assign) = match to {
        None => (draft.actor.clone(), None),
        // Whoever is named here comes before the owners of the partner.
        Some(AssignTo::Owner(Owner::User(user))) => (user.clone(), to.cloned()),
        Some(to) => (draft.actor.clone(), Some(to.clone())),
    };
    let acceptance = Acceptance { assign, record_type, ..Acceptance::new(rule.accept_whole) };
    answer(draft, connection, id, share.generation, Some(acceptance), owner);
    Ok(Reply::Share(id))
}

/// Whether a record may be of a type that was chosen for it (S2S-47).
fn check_record_type(state: &State, object: &ObjectName, kind: &SmolStr) -> Result<(), Refusal> {
    let object = record::object(state, object)?;
    let name = &object.name;
    if !object.chooses_record_type() {
        let text = format!("records of {name} get the default type of their owner: leave the type out");
        return Err(Refusal::invalid("record_type_by_default", text));
    }
    if object.record_types.iter().any(|known| known.active && known.name == *kind) {
        return Ok(());
    }
    let known: Vec<&str> = object.record_types.iter().filter(|k| k.active).map(|k| k.name.as_str()).collect();
    let remedy =
        if known.is_empty() { "it has none".to_owned() } else { format!("use one of {}", known.join(", ")) };
    let text = format!("{name} has no record type {}: {remedy}", quoted(kind));
    Err(Refusal::invalid("unknown_record_type", text))
}

/// An offer that can be accepted, with its connection and the rule by which it is taken.
pub(super) fn offered(
    state: &State,
    over: ConnectionId,
    id: ShareId,
) -> Result<(&Connection, &Share, &SubscribeRule), Refusal> {
    let connection = active(state, over)?;
    let share = find(connection, id)?;
    if share.role != ShareRole::Copy || share.status != ShareStatus::Offered {
        let text = format!("share {id} is {}: only an offer can be accepted", share.status.label());
        return Err(Refusal::conflict("not_offered", text));
    }
    let rule = connection.subscribe.get(&share.object).ok_or_else(|| {
        let text = format!(
            "{} of {} is not subscribed: subscribe it first with `tieline subscribe set`",
            share.object,
            connection.display_name()
        );
        Refusal::conflict("not_subscribed", text)
    })?;
    if let Some(taken) = connection.overrules(rule) {
        let text = super::receive::overruled(connection, rule, taken);
        return Err(Refusal::record(vec![Reason::new(ReasonCode::MappingConflict, text)]));
    }
    pause::check_object(connection, &rule.local)?;
    Ok((connection, share, rule))
}

/// How an offer is accepted.
#[derive(Debug, Clone)]
pub(super) struct Acceptance {
    /// Whether the copy is to be created with all fields in one.
    pub(super) whole: bool,
    /// The record that becomes the copy.
    pub(super) into: Option<RecordId>,
    /// The type of the copy, where it was chosen.
    pub(super) record_type: Option<SmolStr>,
    /// To whom the copy is given, if that is not the user who accepts.
    pub(super) assign: Option<AssignTo>,
}

impl Acceptance {
    /// A copy is created, `whole` or with the create set first.
    pub(super) const fn new(whole: bool) -> Self {
        Self { whole, into: None, assign: None, record_type: None }
    }
}

/// Answers an offer: with how it is accepted, or declines it.
pub(super) fn answer(
    draft: &mut Draft<'_>,
    connection: &Connection,
    share: ShareId,
    generation: u32,
    accept: Option<Acceptance>,
    owner: UserName,
) {
    if accept.is_none() {
        links::release(draft, connection, share);
    }
    let position = draft.position(connection);
    draft.emit(OfferAnswered {
        connection: connection.id,
        share,
        generation,
        accept: accept.is_some(),
        whole: accept.as_ref().is_some_and(|accept| accept.whole),
        record: accept.as_ref().and_then(|accept| accept.into),
        record_type: accept.as_ref().and_then(|accept| accept.record_type.clone()),
        owner,
        assign: accept.and_then(|accept| accept.assign),
        position,
    });
}

/// Declines an offer, or gives back a grant whose record cannot be created.
pub(super) fn decline(draft: &mut Draft<'_>, over: ConnectionId, id: ShareId) -> Result<Reply, Refusal> {
    let connection = active(draft.state, over)?;
    let share = find(connection, id)?;
    match (share.role, share.status) {
        (ShareRole::Copy, ShareStatus::Offered) => {
            let owner = draft.actor.clone();
            answer(draft, connection, id, share.generation, None, owner);
        }
        (ShareRole::Copy, ShareStatus::Granted) => {
            close(draft, connection, id, share, Closing::Ended(EndReason::Returned), true);
        }
        (_, status) => {
            let text = format!("share {id} is {}: only an offer can be declined", status.label());
            return Err(Refusal::conflict("not_offered", text));
        }
    }
    Ok(Reply::Share(id))
}

/// Stops sharing a record with a connection (S2S-57).
pub(super) fn end(
    draft: &mut Draft<'_>,
    record: RecordId,
    over: ConnectionId,
    reason: EndReason,
) -> Result<Reply, Refusal> {
    let connection = super::connection::find(draft.state, over)?;
    let found = record::find(draft.state, record)?;
    let share = found.share_over(over).and_then(|id| Some((id, connection.shares.get(&id)?)));
    let Some((id, share)) = share.filter(|(_, share)| is_open(share)) else {
        let text = format!("record {record} is not shared with {}", connection.display_name());
        return Err(Refusal::conflict("not_shared", text));
    };
    close(draft, connection, id, share, Closing::Ended(reason), connection.is_active());
    Ok(Reply::Share(id))
}

/// Ends a share that is open, and tells the partner if it can be told.
pub(super) fn end_if_open(
    draft: &mut Draft<'_>,
    state: &State,
    over: ConnectionId,
    id: ShareId,
    reason: EndReason,
) {
    if let Some(connection) = state.connections.get(&over)
        && let Some(share) = connection.shares.get(&id).filter(|share| is_open(share))
    {
        close(draft, connection, id, share, Closing::Ended(reason), connection.is_active());
    }
}

/// Closes a share; `tell` says whether the partner has to be told.
pub(super) fn close(
    draft: &mut Draft<'_>,
    connection: &Connection,
    id: ShareId,
    share: &Share,
    closing: Closing,
    tell: bool,
) {
    if tell {
        // What was held back stands before the end.
        pause::catch_up(draft, connection, id, share);
    }
    task::release_or_end(draft, connection, id);
    let position = tell.then(|| draft.position(connection));
    let actor = Some(draft.actor.clone());
    draft.emit(ShareClosed {
        connection: connection.id,
        share: id,
        generation: share.generation,
        closing,
        position,
        actor,
    });
}

/// A partner accepts our offer. Too late, or for nothing: it was or is told why.
pub(super) fn take_acceptance(
    draft: &mut Draft<'_>,
    connection: &Connection,
    id: ShareId,
    generation: u32,
    whole: bool,
) {
    let Some(share) = connection.shares.get(&id) else { return };
    let current = share.role == ShareRole::Origin && share.generation == generation;
    if !current || !matches!(share.status, ShareStatus::Offered) {
        // A refusal, or the end of the share, is on its way already: one per generation and loser.
        return;
    }
    let paused = connection.object_paused(&share.object);
    if paused || draft.state.connections.values().any(|connection| connection.reconciling) {
        // A restored org may not know yet to whom it had granted the record; and what is paused is
        // granted when it goes on.
        let state = draft.state;
        pause::tell_grants_wait(draft, state.connections.values().filter(|c| c.pauses.whole()));
        draft.emit(GrantRequested { connection: connection.id, share: id, whole });
        return;
    }
    grant(draft, connection, id, share, whole);
}

/// Grants a record to a connection and tells the losers.
pub(super) fn grant(draft: &mut Draft<'_>, connection: &Connection, id: ShareId, share: &Share, whole: bool) {
    let found = share.record.and_then(|record| Some((record, draft.state.record(record)?)));
    let Some((record_id, record)) = found else {
        return refuse(draft, connection, id, share.generation, ReasonCode::RecordDeleted);
    };
    let many = share.how.many;
    if granted_elsewhere(draft.state, record, connection.id, many).is_some() {
        return refuse(draft, connection, id, share.generation, ReasonCode::Taken);
    }
    send_grant(draft, connection, id, share.generation, record_id, record, whole);
    for (loser, other) in draft.state.shares_of(record) {
        let waits = matches!(other.status, ShareStatus::Offered | ShareStatus::Accepting);
        let waits = waits && !(many && other.how.many);
        if loser.id != connection.id && other.role == ShareRole::Origin && waits && loser.is_active() {
            let lost = record.share_over(loser.id).unwrap_or_default();
            refuse(draft, loser, lost, other.generation, ReasonCode::Taken);
        }
    }
    task::with_parent(draft, connection, share, record_id);
}

/// Sends the grant and, if there are more fields, the follow-up.
pub(super) fn send_grant(
    draft: &mut Draft<'_>,
    connection: &Connection,
    id: ShareId,
    generation: u32,
    record_id: RecordId,
    record: &Record,
    whole: bool,
) {
    let mut content = shared_content(connection, record, true, |_| true);
    // What the copy's account is known by goes with the grant.
    let mut of_parent: Vec<FieldName> = Vec::new();
    for (name, value, stamp) in carried(draft.state, connection, record) {
        of_parent.push(name.clone());
        content.set(name.clone(), value, stamp);
    }
    let create_set = if whole {
        content.values.keys().cloned().collect()
    } else {
        let mut set = create_set_of(draft.state, record, &content);
        set.extend(of_parent.into_iter().filter(|name| !set.contains(name)).collect::<Vec<_>>());
        set
    };
    // Before the grant, so that the copy is created for whom the partner's table names.
    owner::tell_granted(draft, connection, (id, generation), record);
    let grant = draft.position(connection);
    let more = content.values.len() > create_set.len();
    let follow_up = more.then(|| draft.position(connection));
    let links = links::links(draft, connection, content.values.iter());
    draft.emit(ShareGranted {
        connection: connection.id,
        share: id,
        generation,
        record: record_id,
        object: record.object.clone(),
        content,
        create_set,
        grant,
        follow_up,
        links,
    });
}

/// Sends fields of a record as they are, if there are any; whether there were.
pub(super) fn send_snapshot(
    draft: &mut Draft<'_>,
    connection: &Connection,
    share: ShareId,
    generation: u32,
    object: &ObjectName,
    content: Content,
) -> bool {
    send_unseen(draft, connection, share, generation, object, content, None)
}

/// The same, of which what was written from a moment on was held back.
pub(super) fn send_unseen(
    draft: &mut Draft<'_>,
    connection: &Connection,
    share: ShareId,
    generation: u32,
    object: &ObjectName,
    content: Content,
    unseen_from: Option<Timestamp>,
) -> bool {
    if content.is_empty() {
        return false;
    }
    let position = draft.position(connection);
    let links = links::links(draft, connection, content.values.iter());
    let delivery = Delivery { connection: connection.id, share, generation, position, links };
    let object = object.clone();
    draft.emit(SnapshotSent { delivery, object, content, recreate: None, unseen_from });
    true
}

/// The fields of the create set that are sent (S2S-48).
fn create_set_of(state: &State, record: &Record, content: &Content) -> Vec<FieldName> {
    let set = state.object(&record.object).map(|object| object.create_set.as_slice()).unwrap_or_default();
    content.values.keys().filter(|name| set.contains(name)).cloned().collect()
}

fn refuse(draft: &mut Draft<'_>, connection: &Connection, share: ShareId, generation: u32, code: ReasonCode) {
    let position = draft.position(connection);
    draft.emit(ShareRefused { connection: connection.id, share, generation, code, position });
}

/// Whether ours of two offers that cross stands: the share is named after our record; or after no
/// record of either side, when those were replaced, and our name comes first. Both sides find the
/// same.
pub(super) fn stands(
    draft: &Draft<'_>,
    connection: &Connection,
    id: ShareId,
    ours: Option<RecordId>,
    theirs: Option<RecordId>,
) -> bool {
    let named_after = |org: &OrgName, record: Option<RecordId>| {
        record.is_some_and(|record| ShareId::derive(connection.id, org, record) == id)
    };
    let name = &draft.org().name;
    named_after(name, ours)
        || connection.partner.as_ref().is_some_and(|partner| !named_after(partner, theirs) && name < partner)
}
