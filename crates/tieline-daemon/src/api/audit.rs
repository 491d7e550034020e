//! The audit of a connection (S2S-73): every action on it and everything that was refused, with
//! actor, time and reason, the newest first; and that of the org: its settings and who may do what.
//!
//! The state knows which pages of the log hold something of each, so only those are read, and at most
//! so many for one answer.

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::audit::{PAGE_EVENTS, Place, connection_of, first_of, page_of, place_of};
use tieline_core::event::{Closing, Event, Loser, TemplateGiven};
use tieline_core::log::StoredEvent;
use tieline_core::message::{Message, OutcomeDetail, ValueDecided};
use tieline_core::outcome::Outcome;
use tieline_core::reason::{Reason, ReasonCode};
use tieline_core::state::State;
use tieline_core::template::RuleFate;
use tieline_core::{ConnectionId, Seq, Timestamp, UserName};
use tieline_store::{LogReader, ReadError};
use utoipa::ToSchema;

use super::auth::Actor;
use super::log::{blocking, unreadable};
use super::problem::{ErrorCode, Problem, ReasonView};
use super::request::{Params, Route, page_size};
use super::{Api, select};

mod org;
#[cfg(test)]
mod tests;

/// Most pages of the log that one answer reads.
const PAGES_MAX: usize = 64;

/// Which entries.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Only this action, as entries name it; `failures` for all that was refused.
    action: Option<String>,
    /// Only what this user did.
    actor: Option<String>,
    /// Only from this moment on: RFC 3339, or a day.
    since: Option<String>,
    /// Only before this moment.
    until: Option<String>,
    /// Most entries: 100 if not said, 1,000 at most.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<u64>,
}

/// The audit of a connection, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditPage {
    /// The entries.
    entries: Vec<AuditEntry>,
    /// Where to read on; without it, the connection's first event was reached. A page may be short and
    /// have one.
    next: Option<u64>,
}

/// One action, or one refusal.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct AuditEntry {
    /// The event.
    seq: u64,
    /// When it was decided.
    time: String,
    /// What happened, in one word or a few.
    action: String,
    /// Who did it; `connection.user` for what the partner or its messages caused.
    actor: Option<String>,
    /// The object that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    /// The record here.
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<String>,
    /// The share.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<String>,
    /// The position of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
    /// More about it: a reason, a new value of a setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Why something was refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<ReasonView>,
    /// Whether something was refused.
    failure: bool,
}

/// An entry while it is made.
struct Making {
    entry: AuditEntry,
}

impl Making {
    fn new(stored: StoredEvent<'_>, action: &str) -> Self {
        let entry = AuditEntry {
            seq: stored.seq.0,
            time: stored.time.to_string(),
            action: action.to_owned(),
            actor: None,
            object: None,
            record: None,
            share: None,
            position: None,
            detail: None,
            reasons: Vec::new(),
            failure: false,
        };
        Self { entry }
    }

    fn named(self, action: &str) -> Self {
        Self { entry: AuditEntry { action: action.to_owned(), ..self.entry } }
    }

    fn by(mut self, actor: impl ToString) -> Self {
        self.entry.actor = Some(actor.to_string());
        self
    }

    fn by_partner(self) -> Self {
        self.by(UserName::connection_user())
    }

    fn by_some(self, actor: Option<&UserName>) -> Self {
        match actor {
            Some(actor) => self.by(actor),
            None => self.by_partner(),
        }
    }

    fn object(mut self, object: impl ToString) -> Self {
        self.entry.object = Some(object.to_string());
        self
    }

    fn record(mut self, record: Option<impl ToString>) -> Self {
        self.entry.record = record.map(|record| record.to_string());
        self
    }

    fn share(mut self, share: impl ToString) -> Self {
        self.entry.share = Some(share.to_string());
        self
    }

    fn detail(mut self, detail: impl Into<String>) -> Self {
        self.entry.detail = Some(detail.into()).filter(|detail: &String| !detail.is_empty());
        self
    }

    fn refused(mut self, reasons: &[Reason]) -> Self {
        self.entry.reasons = reasons.iter().map(ReasonView::from).collect();
        self.entry.failure = true;
        self
    }

    fn at_partner(mut self, detail: &OutcomeDetail) -> Self {
        let reasons: Vec<Reason> = detail.reasons.iter().map(Reason::from).collect();
        self.entry.position = Some(detail.position.0);
        self.entry.share = detail.share.map(|share| share.to_string());
        self.named("refused by the partner").by_partner().refused(&reasons)
    }
}

/// What of an event stands in the audit of `connection`, or of the org.
fn entries(stored: StoredEvent<'_>, connection: Option<ConnectionId>) -> Vec<AuditEntry> {
    let Ok(event) = Event::decode(stored.kind, stored.body) else { return Vec::new() };
    let Some(connection) = connection else {
        let here = place_of(&event) == Place::Org;
        return here.then(|| org::settings(stored, &event).entry).into_iter().collect();
    };
    if let Event::Received(received) = &event
        && received.connection == connection
        && received.outcome.is_none()
    {
        return told(stored, &Message::decode(received.kind, &received.body).unwrap_or_else(|_| unknown()));
    }
    if connection_of(&event) != Some(connection) {
        return Vec::new();
    }
    let made = agreement(stored, &event).or_else(|| sharing(stored, &event));
    // What is not told in words stands there by its name.
    vec![made.unwrap_or_else(|| Making::new(stored, Event::kind_name(stored.kind))).entry]
}

fn unknown() -> Message {
    Message::Unknown { kind: 0, body: Vec::new() }
}

/// What a partner told of our messages, as far as it refused some.
fn told(stored: StoredEvent<'_>, message: &Message) -> Vec<AuditEntry> {
    let details = match message {
        Message::OutcomeReport(report) => report.details.as_slice(),
        Message::Settled(settled) if !settled.recovered => std::slice::from_ref(&settled.detail),
        Message::ValueDecided(decided) => return vec![decision(stored, decided).entry],
        _ => return Vec::new(),
    };
    let refused = details.iter().filter(|detail| detail.outcome == Outcome::Rejected);
    refused.map(|detail| Making::new(stored, "").at_partner(detail).entry).collect()
}

/// What a person of the partner decided about a value of ours.
fn decision(stored: StoredEvent<'_>, decided: &ValueDecided) -> Making {
    let field = decided.field.to_string();
    let action = if decided.approved { "value approved" } else { "value rejected" };
    let mut made = Making::new(stored, action).named(&format!("{action} by the partner")).by_partner();
    made.entry.position = Some(decided.position.0);
    made = made.share(decided.share).detail(field.clone());
    if decided.approved {
        return made;
    }
    let text = format!("a person there refused the value of {field}");
    made.refused(&[Reason::new(ReasonCode::ApprovalRefused, text)])
}

/// A template, given or applied as far as it could be.
fn template(stored: StoredEvent<'_>, given: &TemplateGiven) -> Making {
    let name = &given.template;
    if given.rules.is_empty() {
        return Making::new(stored, "template given").by(&given.actor).detail(name.to_string());
    }
    let count = |fate: &str| given.rules.values().filter(|other| other.as_str() == fate).count();
    let text = format!("{name}: {} applied, {} waiting", count("applied"), count("waits"));
    let made = Making::new(stored, "template applied").by(&given.actor).detail(text);
    let refused = given.rules.iter().filter_map(|(rule, fate)| match fate {
        RuleFate::Refused(why) => Some(Reason::new(ReasonCode::BadRule, format!("{rule}: {why}"))),
        RuleFate::Applied | RuleFate::Waits => None,
    });
    let refused: Vec<Reason> = refused.collect();
    if refused.is_empty() { made } else { made.refused(&refused) }
}

/// The agreement, its rules, keys and lives.
fn agreement(stored: StoredEvent<'_>, event: &Event) -> Option<Making> {
    let new = |action: &str| Making::new(stored, action);
    Some(match event {
        Event::InvitationSent(e) => {
            let contact = e.contact.as_ref().map(|contact| format!("{} <{}>", contact.name, contact.email));
            let who = e.actor.as_ref().unwrap_or(&e.owner);
            new("invited").by(who).detail(contact.unwrap_or_else(|| e.label.clone()))
        }
        Event::InvitationPostponed(e) => {
            new("to be decided later").by(&e.actor).detail(format!("of {}", e.invitation.inviter))
        }
        Event::PostponementHeard(e) => {
            new("to be decided later").by_partner().detail(format!("{} of {}", e.user, e.partner))
        }
        Event::InvitationAnswered(e) => {
            let action = if e.accept { "invitation accepted" } else { "invitation declined" };
            new(action).by(e.actor.as_ref().unwrap_or(&e.owner)).detail(format!("of {}", e.inviter))
        }
        Event::ConnectionEstablished(e) => {
            let who = e.answered_by.as_ref().unwrap_or(&e.partner_owner);
            new("established").by_partner().detail(format!("{who} for {}", e.partner))
        }
        Event::ConnectionDeclined(e) => new("declined").by_partner().detail(e.code.clone()),
        Event::InvitationRevoked(e) => new("revoked").by(&e.actor),
        Event::ConnectionDeactivated(e) => new("deactivated").by_some(e.actor.as_ref()),
        Event::ConnectionSuspended(e) => {
            new(if e.suspended { "suspended" } else { "let go on" }).by_some(e.actor.as_ref())
        }
        Event::ConnectionLabelled(e) => new("labelled").by(&e.actor).detail(e.label.clone()),
        Event::ConnectionOwnerSet(e) => new("handed over").by(&e.actor).detail(format!("to {}", e.owner)),
        Event::TemplateGiven(e) => template(stored, e),
        Event::InvitationSaved(e) => new("invitation saved").by(&e.actor),
        Event::InvitationDiscarded(e) => new("invitation discarded").by(&e.actor),
        Event::PauseSet(e) => {
            let made = new(if e.paused { "paused" } else { "unpaused" }).by(&e.actor);
            match &e.object {
                Some(object) => made.object(object),
                None => made,
            }
        }
        Event::PauseHeard(e) => {
            let made =
                new(if e.word.since.is_some() { "paused by the partner" } else { "unpaused by the partner" });
            made.by_partner().detail(e.word.by.as_ref().map(ToString::to_string).unwrap_or_default())
        }
        Event::PartnerReincarnated(_) => new("partner restored").by_partner(),
        Event::ReconcileAsked(e) => new("reconcile asked").by_some(e.actor.as_ref()),
        Event::KeyAnnounced(e) => new("key announced").by_some(e.actor.as_ref()),
        Event::KeyConfirmed(_) => new("key in use"),
        Event::PartnerKeyChanged(_) => new("partner's key changed").by_partner(),
        Event::PublishRuleSet(e) => {
            let fields = e.rule.as_ref().map(|rule| names(rule.fields.iter()));
            let action = if e.rule.is_some() { "published" } else { "publishing ended" };
            new(action).by(&e.actor).object(&e.object).detail(fields.unwrap_or_default())
        }
        Event::SubscribeRuleSet(e) => {
            let fields = e.rule.as_ref().map(|rule| names(rule.fields.iter().map(|mapping| &mapping.local)));
            let action = if e.rule.is_some() { "subscribed" } else { "subscription ended" };
            new(action).by(&e.actor).object(&e.object).detail(fields.unwrap_or_default())
        }
        Event::AccountRuleSet(e) => {
            let action = if e.rule.is_some() { "account rule set" } else { "account rule removed" };
            new(action).by(&e.actor).object(&e.object)
        }
        Event::OwnerMapSet(e) => new("owners mapped").by(&e.actor),
        Event::JobStarted(_) | Event::JobAdvanced(_) => return job(stored, event),
        Event::AlarmRaised(e) => new("alarm").detail(format!("{}: {}", e.code, e.message)),
        _ => return None,
    })
}

/// Wide work that began or ended.
fn job(stored: StoredEvent<'_>, event: &Event) -> Option<Making> {
    let new = |action: &str| Making::new(stored, action);
    match event {
        Event::JobStarted(e) => Some(new("job began").by(&e.actor).detail(e.kind.as_str())),
        Event::JobAdvanced(e) => {
            let ended = e.ended.as_deref()?;
            let text = format!("{}: {} done, {} skipped", ended.kind, ended.done, ended.skipped);
            Some(new("job ended").by(&ended.actor).detail(text))
        }
        _ => None,
    }
}

/// Shares, and what was refused.
fn sharing(stored: StoredEvent<'_>, event: &Event) -> Option<Making> {
    let new = |action: &str| Making::new(stored, action);
    Some(match event {
        Event::ShareOffered(e) => {
            new("offered").by(&e.actor).object(&e.object).record(Some(e.record)).share(e.share)
        }
        Event::ChildGranted(e) => {
            let new = new("task shared").by(&e.actor).object(&e.object);
            new.record(Some(e.record)).share(e.share)
        }
        Event::DecisionSent(e) => {
            let action = if e.decided.approved { "value approved" } else { "value rejected" };
            new(action).by(&e.actor).share(e.decided.share).detail(e.decided.field.to_string())
        }
        Event::OfferReceived(e) => new("offer received").by_partner().object(&e.object).share(e.share),
        Event::OfferAnswered(e) => {
            let action = if e.accept { "offer accepted" } else { "offer declined" };
            new(action).by(&e.owner).record(e.record).share(e.share)
        }
        Event::ShareGranted(e) => {
            new("granted").by_partner().object(&e.object).record(Some(e.record)).share(e.share)
        }
        Event::ShareRefused(e) => {
            let why = match e.code {
                ReasonCode::Taken => "another connection has the record",
                ReasonCode::RecordDeleted => "the record was deleted",
                _ => "the offer stands no more",
            };
            let reason = Reason::new(e.code, format!("{}: {why}", e.code.as_str()));
            new("acceptance refused").by_partner().share(e.share).refused(&[reason])
        }
        Event::ShareLinked(e) => {
            let action = if e.record.is_some() { "copy linked" } else { "copy not created" };
            new(action).by_partner().record(e.record).share(e.share)
        }
        Event::ShareClosed(e) => {
            let (action, detail) = match e.closing {
                Closing::Declined => ("offer declined by the partner", ""),
                Closing::Taken => ("taken by another", ""),
                Closing::Ended(reason) => ("share ended", reason.as_str()),
            };
            new(action).by_some(e.actor.as_ref()).share(e.share).detail(detail)
        }
        Event::ShareRestored(e) => {
            new("share restored").by_partner().object(&e.object).record(Some(e.record)).share(e.share)
        }
        Event::Received(e) => {
            let mut made = new("refused").by_partner().record(e.record).refused(&e.reasons);
            made.entry.share = e.share.map(|share| share.to_string());
            made.entry.position = Some(e.position.0);
            made
        }
        Event::MessageSettled(e) => {
            let mut made = match (e.recovered, e.outcome) {
                (true, _) => new("came through after all"),
                (false, Outcome::Rejected) => new("refused").refused(&e.reasons),
                (false, outcome) => new("held message ended").detail(outcome.as_str()),
            };
            made.entry.share = e.share.map(|share| share.to_string());
            made.entry.position = Some(e.position.0);
            made.by_partner()
        }
        Event::ConflictNoted(e) => {
            let whose = match e.loser {
                Loser::Ours => "ours lost at the partner",
                Loser::Theirs => "the partner's lost here",
            };
            let mut made = new("conflict").by_partner().object(&e.object).record(Some(e.record));
            made.entry.position = Some(e.position.0);
            made.share(e.share).detail(format!("{whose}: {}", names(e.fields.keys())))
        }
        _ => return None,
    })
}

fn names<'a>(fields: impl Iterator<Item = &'a tieline_core::FieldName>) -> String {
    fields.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What is looked for, and where.
struct Search {
    /// Of which connection; of the org if of none.
    connection: Option<ConnectionId>,
    /// The pages that hold something, in order.
    pages: Vec<u32>,
    action: Option<String>,
    actor: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    limit: usize,
    /// Everything before this.
    before: Seq,
}

impl Search {
    fn takes(&self, time: Timestamp, entry: &AuditEntry) -> bool {
        let action = self
            .action
            .as_ref()
            .is_none_or(|action| entry.action == *action || (action == "failures" && entry.failure));
        let actor = self.actor.as_ref().is_none_or(|actor| entry.actor.as_ref() == Some(actor));
        action
            && actor
            && self.since.is_none_or(|since| time >= since)
            && self.until.is_none_or(|until| time < until)
    }

    fn run(&self, log: &LogReader) -> Result<AuditPage, ReadError> {
        let mut page = AuditPage { entries: Vec::new(), next: None };
        let last = page_of(Seq(self.before.0.saturating_sub(1)));
        let pages = self.pages.iter().rev().filter(|page| **page <= last);
        for (read, number) in pages.enumerate() {
            let first = first_of(*number);
            if read == PAGES_MAX {
                page.next = Some(first.0 + PAGE_EVENTS);
                return Ok(page);
            }
            let (found, earliest) = self.read(log, first)?;
            for (seq, entry) in found.into_iter().rev() {
                if page.entries.len() == self.limit {
                    page.next = Some(seq.0 + 1);
                    return Ok(page);
                }
                page.entries.push(entry);
            }
            if self.since.is_some_and(|since| earliest < since) {
                break;
            }
        }
        Ok(page)
    }

    /// What one page of the log holds, in order, and when it begins.
    fn read(&self, log: &LogReader, first: Seq) -> Result<(Vec<(Seq, AuditEntry)>, Timestamp), ReadError> {
        let end = Seq(first.0 + PAGE_EVENTS).min(self.before);
        let (mut found, mut earliest) = (Vec::new(), None);
        let mut cursor = log.cursor(first);
        while cursor.next_seq() < end {
            let Some(groups) = cursor.next_groups()? else { break };
            let here = groups.events().filter(|event| event.seq >= first && event.seq < end);
            for stored in here {
                earliest.get_or_insert(stored.time);
                let taken = entries(stored, self.connection).into_iter();
                let taken = taken.filter(|entry| self.takes(stored.time, entry));
                found.extend(taken.map(|entry| (stored.seq, entry)));
            }
        }
        Ok((found, earliest.unwrap_or(Timestamp(i64::MAX))))
    }
}

/// A moment of the query.
pub(crate) fn moment(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let parse = |text: &str| {
        text.parse().map_err(|error| Problem::new(ErrorCode::BadQuery, format!("{name}: {error}")))
    };
    text.map(parse).transpose()
}

/// Searches an audit.
async fn search(
    api: &Api,
    query: AuditQuery,
    of: impl FnOnce(&State) -> Result<(Option<ConnectionId>, Vec<u32>), Problem> + Send,
) -> Result<Json<AuditPage>, Problem> {
    let (since, until) = (moment("since", query.since.as_deref())?, moment("until", query.until.as_deref())?);
    let read =
        api.org.read(|state| of(state).map(|(connection, pages)| (connection, pages, state.seq.next())));
    let (connection, pages, end) = read.await?;
    let search = Search {
        connection,
        pages,
        action: query.action,
        actor: query.actor,
        since,
        until,
        limit: page_size(query.limit),
        before: query.cursor.map_or(end, |cursor| Seq(cursor).min(end)),
    };
    let log = api.org.log();
    let page = blocking(move || search.run(&log)).await?;
    page.map(Json).map_err(|error| unreadable(&error))
}

/// Shows every action on a connection and everything that was refused (S2S-73).
#[utoipa::path(get, path = "/v1/connections/{c}/audit", tag = "connections",
    params(("c" = String, Path, description = "Id, partner or label."), AuditQuery),
    responses((status = 200, body = AuditPage)))]
pub(crate) async fn audit(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Route(selector): Route<String>,
    Params(query): Params<AuditQuery>,
) -> Result<Json<AuditPage>, Problem> {
    search(&api, query, |state| {
        let connection = select::connection(state, &selector)?;
        Ok((Some(connection.id), connection.audit_pages.clone()))
    })
    .await
}

/// Shows every change of the org's settings, of its people and what they may do, and of what happens by itself.
#[utoipa::path(get, path = "/v1/audit", tag = "org", params(AuditQuery),
    responses((status = 200, body = AuditPage)))]
pub(crate) async fn of_org(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Params(query): Params<AuditQuery>,
) -> Result<Json<AuditPage>, Problem> {
    search(&api, query, |state| Ok((None, state.audit_pages.clone()))).await
}
