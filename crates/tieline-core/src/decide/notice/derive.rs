//! What people are told of what happened: one table of events.

use crate::decide::draft::Draft;
use crate::effect::Purpose;
use crate::event::{
    Closing, Event, JobAdvanced, MessageSettled, Received, RecordChanged, ShareClosed, ValuesPending,
};
use crate::job::JobKind;
use crate::limits::NOTICES_AT_ONCE_MAX;
use crate::message::{EndReason, Message, OutcomeDetail, ValueDecided};
use crate::notice::{Notice, NoticeKind};
use crate::outcome::Outcome;
use crate::reason::Reason;
use crate::state::{Connection, Share, Side, State};
use crate::value::Value;
use crate::{ConnectionId, RecordId, ShareId, UserName};

/// To whom a notice goes.
enum To {
    Owner(ConnectionId),
    User(UserName),
    Administrators,
}

/// Raises the notices of the events of a draft. Most drafts have no event that anybody is told of.
pub(crate) fn derive(draft: &mut Draft<'_>) {
    if !draft.events().iter().any(may_tell) {
        return;
    }
    let state = draft.state;
    let told: Vec<(To, Notice)> = draft
        .events()
        .iter()
        .filter_map(|event| of(state, draft.events(), event))
        .take(NOTICES_AT_ONCE_MAX)
        .collect();
    for (to, notice) in told {
        tell(draft, &to, notice);
    }
}

fn tell(draft: &mut Draft<'_>, to: &To, notice: Notice) {
    match to {
        To::User(user) => draft.notify(user, notice),
        To::Administrators => draft.notify_administrators(&notice),
        To::Owner(id) => match draft.state.connections.get(id) {
            Some(connection) => draft.notify_owner(connection, notice),
            None => draft.notify_administrators(&notice),
        },
    }
}

/// Whether somebody may be told of the event: cheap, for it is asked of all.
fn may_tell(event: &Event) -> bool {
    match event {
        Event::Received(e) => e.outcome == Some(Outcome::Rejected),
        Event::MessageSettled(e) => e.outcome == Outcome::Rejected,
        Event::ValuesPending(e) => {
            e.values.values().flatten().any(|pending| pending.approval && !pending.rejected)
        }
        Event::RecordChanged(e) => e.owner.is_some() && (e.rule.is_some() || !e.actor.is_system()),
        Event::JobAdvanced(e) => e.cursor.is_none(),
        Event::ShareClosed(_)
        | Event::ConnectionEstablished(_)
        | Event::ConnectionDeclined(_)
        | Event::PostponementHeard(_)
        | Event::ConnectionDeactivated(_)
        | Event::ConnectionSuspended(_)
        | Event::EffectEnded(_)
        | Event::AlarmRaised(_) => true,
        _ => false,
    }
}

fn of(state: &State, all: &[Event], event: &Event) -> Option<(To, Notice)> {
    match event {
        Event::ConnectionEstablished(e) => {
            let connection = state.connections.get(&e.connection)?;
            let text = format!(
                "{} accepted the connection: {} of {} did, and {} manages it there",
                e.partner,
                e.answered_by.as_ref().unwrap_or(&e.partner_owner),
                e.partner,
                e.partner_owner
            );
            let notice = Notice::new(NoticeKind::ConnectionAccepted, text);
            (connection.side == Side::Inviter).then_some((To::Owner(e.connection), notice))
        }
        Event::ConnectionDeclined(e) => {
            let connection = state.connections.get(&e.connection)?;
            let text = match (connection.side, &e.partner) {
                (Side::Inviter, Some(partner)) => format!("{partner} declined the connection"),
                (Side::Inviter, None) => "the invitation was declined".to_owned(),
                (Side::Invited, _) if e.code == "declined" => return None,
                (Side::Invited, _) => format!(
                    "{} did not take the answer to its invitation: {}; ask it for a new one",
                    connection.display_name(),
                    e.code
                ),
            };
            Some((To::Owner(e.connection), Notice::new(NoticeKind::ConnectionDeclined, text)))
        }
        Event::PostponementHeard(e) => {
            let text = format!("{} of {} will decide on the invitation later", e.user, e.partner);
            Some((To::Owner(e.connection), Notice::new(NoticeKind::ConnectionPostponed, text)))
        }
        Event::ConnectionDeactivated(e) => {
            let connection = state.connections.get(&e.connection)?;
            let partner = connection.display_name();
            let text = match &e.actor {
                None => format!("{partner} ended the connection"),
                Some(actor) if *actor == connection.owner => return None,
                Some(actor) => format!("{actor} ended the connection with {partner}"),
            };
            Some((To::Owner(e.connection), Notice::new(NoticeKind::ConnectionDeactivated, text)))
        }
        Event::ConnectionSuspended(e) if e.suspended => {
            let connection = state.connections.get(&e.connection)?;
            let text = format!(
                "the connection with {} is suspended until somebody looks at it: see `tieline alarm list`",
                connection.display_name()
            );
            Some((To::Owner(e.connection), Notice::new(NoticeKind::ConnectionSuspended, text)))
        }
        Event::AlarmRaised(e) => {
            let suspends = |other: &Event| matches!(other, Event::ConnectionSuspended(s) if s.suspended && Some(s.connection) == e.connection);
            if all.iter().any(suspends) {
                return None;
            }
            let to = e.connection.map_or(To::Administrators, To::Owner);
            Some((to, Notice::new(NoticeKind::Alarm, e.message.clone())))
        }
        Event::JobAdvanced(e) if e.cursor.is_none() => job_done(state, e),
        Event::ValuesPending(e) => approval(state, e),
        Event::RecordChanged(e) => assigned(state, e),
        Event::ShareClosed(e) => closed(state, all, e),
        Event::Received(e) => failed(state, e),
        Event::MessageSettled(e) => settled(state, e),
        Event::EffectEnded(e) if !e.sent => {
            let open = state.effects.open().get(&e.id)?;
            let what = match open.cause.purpose {
                Purpose::Invitation => "the invitation",
                Purpose::Inquiry => "the inquiry",
                Purpose::Rule => "what a rule sends",
                // That a notice could not be sent is no notice.
                _ => return None,
            };
            let text = format!(
                "{what} to {} could not be sent: {}; `tieline effect retry {}` tries again",
                open.effect.recipient(),
                e.error,
                e.id
            );
            let to = match (&open.cause.user, open.cause.connection) {
                (Some(user), _) => To::User(user.clone()),
                (None, Some(connection)) => To::Owner(connection),
                (None, None) => To::Administrators,
            };
            Some((to, Notice::new(NoticeKind::EffectFailed, text)))
        }
        _ => None,
    }
}

/// A record that a person or a rule gives to somebody else. What nobody chose tells nobody: the copies of an
/// initial load go to whoever takes all of them.
fn assigned(state: &State, event: &RecordChanged) -> Option<(To, Notice)> {
    let owner = event.owner.as_ref()?.user()?;
    let by = match &event.rule {
        Some(rule) => format!("the rule {rule}"),
        None if event.actor == *owner => return None,
        None => event.actor.to_string(),
    };
    let what = match state.record(event.record) {
        Some(_) => named(state, Some(event.record), None),
        None => format!("{} {}", event.object, event.record),
    };
    let notice = Notice::new(NoticeKind::RecordAssigned, format!("{by} gave you {what}"));
    Some((To::User(owner.clone()), notice.on_record(event.record)))
}

/// Wide work that a person asked for has ended: how much was done, and what was not.
fn job_done(state: &State, event: &JobAdvanced) -> Option<(To, Notice)> {
    let job = state.jobs.get(&event.job)?;
    let what = asked_for(state, &job.kind)?;
    let (done, skipped) = (job.done + event.done, job.skipped + event.skipped);
    let first = job.reasons.iter().chain(&event.reasons).next().filter(|_| skipped > 0);
    let why = first.map(|reason| format!("; the first: {reason}")).unwrap_or_default();
    let text = format!("{what} is done: {done} done, {skipped} skipped{why}");
    let notice = Notice { connection: job.kind.connection(), ..Notice::new(NoticeKind::JobDone, text) };
    Some((To::User(job.actor.clone()), notice))
}

/// What a job does, if people ask for such jobs: the others follow from something, and nobody waits.
fn asked_for(state: &State, kind: &JobKind) -> Option<String> {
    let partner = kind.connection().and_then(|id| state.connections.get(&id));
    let partner = partner.map(Connection::display_name).unwrap_or_default();
    Some(match kind {
        JobKind::Forward { object, .. } => format!("forwarding {object} to {partner}"),
        JobKind::Stop { object, .. } => format!("ending the sharing of {object} with {partner}"),
        JobKind::Accept { object: Some(object), .. } => format!("accepting {object} from {partner}"),
        JobKind::Accept { object: None, .. } => format!("accepting what {partner} offers"),
        JobKind::ShareQueue { queue, .. } => format!("forwarding the queue {queue} to {partner}"),
        JobKind::ApplySharing { rule, .. } => format!("applying the sharing rule {rule} for {partner}"),
        JobKind::MapOwners { .. } => format!("mapping the owners at {partner} anew"),
        JobKind::HandOver { from, to, .. } => format!("handing over from {from} to {to}"),
        JobKind::Assign { object, .. } => format!("assigning {object}"),
        JobKind::Backfill { .. }
        | JobKind::Tasks { .. }
        | JobKind::Reconcile { .. }
        | JobKind::Grant { .. }
        | JobKind::Retry { .. }
        | JobKind::FillLinks { .. }
        | JobKind::TellLinks { .. }
        | JobKind::TellOwners { .. }
        | JobKind::FollowParent { .. }
        | JobKind::Compute { .. }
        | JobKind::CatchUp { .. }
        | JobKind::Close { .. } => return None,
    })
}

/// Values of a partner wait for a person: whoever owns the record, or manages the connection (S2S-58).
fn approval(state: &State, event: &ValuesPending) -> Option<(To, Notice)> {
    let waiting = event.values.iter().filter_map(|(field, pending)| Some((field, pending.as_ref()?)));
    let waiting: Vec<_> = waiting.filter(|(_, pending)| pending.approval && !pending.rejected).collect();
    let connection = waiting.first()?.1.origin.connection;
    let record = state.record(event.record)?;
    let fields: Vec<&str> = waiting.iter().map(|(field, _)| field.as_str()).collect();
    let partner = state.connections.get(&connection)?.display_name();
    let text = format!(
        "{partner} sent {} of {} {}, which waits for approval: see `tieline approval list`",
        fields.join(", "),
        record.object,
        event.record
    );
    let to = record.owner.user().cloned().map_or(To::Owner(connection), To::User);
    let notice = Notice::new(NoticeKind::ApprovalWaiting, text);
    Some((to, notice.on_connection(connection).on_record(event.record)))
}

/// A share that the partner ended.
fn closed(state: &State, all: &[Event], event: &ShareClosed) -> Option<(To, Notice)> {
    let by_system = event.actor.as_ref().is_none_or(UserName::is_system);
    let by_partner = by_system || matches!(all.first(), Some(Event::Received(_)));
    if !by_partner || event.position.is_some() {
        return None;
    }
    let connection = state.connections.get(&event.connection)?;
    let share = connection.shares.get(&event.share);
    let record = share.and_then(|share| share.record);
    let (partner, what) = (connection.display_name(), named(state, record, share));
    let (kind, text) = match event.closing {
        Closing::Declined => (NoticeKind::OfferDeclined, format!("{partner} declined {what}")),
        Closing::Ended(EndReason::Deleted) => {
            let text = format!("{partner} deleted {what}; the record here stays, and is not shared any more");
            (NoticeKind::RecordDeleted, text)
        }
        Closing::Ended(EndReason::Converted) => {
            let text =
                format!("{partner} converted {what}; the record here stays, and is not shared any more");
            (NoticeKind::RecordConverted, text)
        }
        Closing::Ended(EndReason::Stopped) => {
            (NoticeKind::SharingStopped, format!("{partner} stopped sharing {what}"))
        }
        Closing::Ended(EndReason::Returned) => {
            (NoticeKind::SharingStopped, format!("{partner} could not create {what}, and gave it back"))
        }
        Closing::Ended(EndReason::Withdrawn) => {
            (NoticeKind::SharingStopped, format!("{partner} took {what} back"))
        }
        Closing::Taken => {
            (NoticeKind::OfferTaken, format!("{partner} offered {what}, and another took it first"))
        }
        Closing::Ended(EndReason::Deactivated) => return None,
    };
    let notice = Notice { record, ..Notice::new(kind, text) };
    Some((To::Owner(event.connection), notice))
}

/// A record by its name, or by what is known of it.
fn named(state: &State, record: Option<RecordId>, share: Option<&Share>) -> String {
    let known = record.and_then(|id| state.records.get(&id));
    let Some(record) = known else {
        return share.map_or_else(|| "a record".to_owned(), |share| format!("a {}", share.object));
    };
    let name = state.object(&record.object).map(|schema| record.value(&schema.name_field));
    match name {
        Some(Value::Text(name)) => format!("{} {name}", record.object),
        _ => format!("a {}", record.object),
    }
}

fn failed(state: &State, event: &Received) -> Option<(To, Notice)> {
    refused_here(state, event.connection, event.share, event.record, &event.reasons, event.outcome?)
}

fn settled(state: &State, event: &MessageSettled) -> Option<(To, Notice)> {
    refused_here(state, event.connection, event.share, None, &event.reasons, event.outcome)
}

/// What a partner sent was refused here.
fn refused_here(
    state: &State,
    connection: ConnectionId,
    share: Option<ShareId>,
    record: Option<RecordId>,
    reasons: &[Reason],
    outcome: Outcome,
) -> Option<(To, Notice)> {
    if outcome != Outcome::Rejected {
        return None;
    }
    let connection = state.connections.get(&connection)?;
    let share = share.and_then(|share| connection.shares.get(&share));
    let record = record.or_else(|| share.and_then(|share| share.record));
    let why = reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let text = format!(
        "an update of {} to {} was refused: {why}; see `tieline failure list`",
        connection.display_name(),
        named(state, record, share)
    );
    let notice = Notice { record, ..Notice::new(NoticeKind::UpdateFailed, text) };
    Some((To::Owner(connection.id), notice))
}

/// What a partner tells of how ours ended: its owner hears of what was refused there.
pub(crate) fn told_by_partner(draft: &mut Draft<'_>, connection: &Connection, message: &Message) {
    let details: &[OutcomeDetail] = match message {
        Message::OutcomeReport(report) => &report.details,
        Message::Settled(settled) if !settled.recovered => std::slice::from_ref(&settled.detail),
        _ => return,
    };
    let refused = details.iter().filter(|detail| detail.outcome == Outcome::Rejected);
    for detail in refused.take(NOTICES_AT_ONCE_MAX) {
        let why = detail.reasons.iter().map(|reason| Reason::from(reason).message).collect::<Vec<_>>();
        refused_there(draft, connection, detail.share, &why.join("; "));
    }
}

/// A person of the partner refused a value of ours (S2S-58).
pub(crate) fn told_of_decision(draft: &mut Draft<'_>, connection: &Connection, decided: &ValueDecided) {
    if !decided.approved {
        let why = format!("a person there refused the value of {}", decided.field);
        refused_there(draft, connection, Some(decided.share), &why);
    }
}

fn refused_there(draft: &mut Draft<'_>, connection: &Connection, share: Option<ShareId>, why: &str) {
    let share = share.and_then(|share| connection.shares.get(&share));
    let record = share.and_then(|share| share.record);
    let text = format!(
        "{} refused an update of {}: {why}; see `tieline failure list`",
        connection.display_name(),
        named(draft.state, record, share)
    );
    let notice = Notice { record, ..Notice::new(NoticeKind::UpdateRefused, text) };
    draft.notify_owner(connection, notice);
}
