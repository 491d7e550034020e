//! Why something is as it is (OPS-03): of an event, what came, which mapping and rule touched which field,
//! what was refused and why, what was written and to whom it went on; of a record, where each of its
//! values comes from and what waits.
//!
//! What was decided stands in the events and is told from them. What a mapping made of a value is told
//! as the mapping of now makes it, and says so where that has changed since.

use axum::Json;
use axum::extract::State as Extract;
use serde::Serialize;
use serde_json::Value as Json_;
use tieline_core::content::Content;
use tieline_core::event::{Event, Loser, Received, RecordChanged};
use tieline_core::mapping::SubscribeRule;
use tieline_core::message::Message;
use tieline_core::state::{Connection, State};
use tieline_core::{ConnectionId, ObjectName, RecordId, Seq, ShareId};
use utoipa::ToSchema;

use super::auth::Actor;
use super::log::{blocking, unreadable};
use super::problem::{ErrorCode, Problem, ReasonView};
use super::records::{object, record};
use super::request::Route;
use super::share_view::ShareView;
use super::{Api, history_step};

/// How far back what a field was before is looked for.
const STEPS_MAX: usize = 1_000;

/// Why an event is as it is: everything that its command or message did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explanation {
    /// The first event of the group.
    first: u64,
    /// The last one.
    last: u64,
    /// When it was decided.
    time: String,
    /// What happened, in order.
    steps: Vec<StepView>,
}

/// One thing that happened.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct StepView {
    /// The event.
    seq: u64,
    /// `came`, `mapped`, `refused`, `ended`, `wrote`, `sent`, `waits`, `lost`, or the name of the event.
    what: String,
    /// One sentence.
    text: String,
    /// The field here.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// What it was before, or what came.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    from: Option<Json_>,
    /// What it became.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    to: Option<Json_>,
    /// Why something was refused or waits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<ReasonView>,
}

/// Why a record is as it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordExplanation {
    /// The record.
    record: String,
    /// Where each of its values comes from.
    fields: Vec<FieldOrigin>,
    /// Values of partners that are known and not applied, and why.
    pending: Vec<StepView>,
    /// Its shares, with what went wrong on them.
    shares: Vec<ShareView>,
}

/// Where a value comes from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldOrigin {
    /// The field.
    field: String,
    /// Its value.
    #[schema(value_type = serde_json::Value)]
    value: Json_,
    /// When it was written, where it was written.
    written: String,
    /// The org where that was, if it is known here.
    org: Option<String>,
    /// The connection that it came over; nothing if it was written here.
    partner: Option<String>,
    /// The version of the mapping that it came through.
    mapping: Option<u32>,
}

/// The steps while they are gathered.
struct Steps<'a> {
    state: &'a State,
    /// Whether that is the org as it was then, and not as it is.
    then: bool,
    seq: Seq,
    steps: Vec<StepView>,
}

/// What the events of a group did, told with the org as it was before them.
pub(super) fn steps_of(state: &State, events: &[(Seq, Event)]) -> Vec<StepView> {
    let mut steps = Steps { state, then: true, seq: Seq(0), steps: Vec::new() };
    for (seq, event) in events {
        steps.seq = *seq;
        steps.event(event);
    }
    steps.steps
}

impl Steps<'_> {
    fn add(&mut self, what: &str, text: String) {
        self.add_with(what, text, |_| {});
    }

    fn add_with(&mut self, what: &str, text: String, fill: impl FnOnce(&mut StepView)) {
        let mut step = StepView { seq: self.seq.0, what: what.to_owned(), text, ..StepView::default() };
        fill(&mut step);
        self.steps.push(step);
    }

    fn partner(&self, id: ConnectionId) -> String {
        let connection = self.state.connections.get(&id);
        connection.map_or_else(|| id.to_string(), |connection| connection.display_name().to_owned())
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Received(received) => self.received(received),
            Event::RecordChanged(changed) => self.changed(changed),
            Event::ValuesPending(pending) => {
                for (name, value) in pending.values.iter() {
                    let Some(value) = value else {
                        self.add_with("waits", format!("nothing waits for {name} any more"), |step| {
                            step.field = Some(name.to_string());
                        });
                        continue;
                    };
                    let for_whom =
                        if value.approval { "a person's approval" } else { "its cause to be mended" };
                    self.add_with("waits", format!("the value for {name} waits for {for_whom}"), |step| {
                        step.field = Some(name.to_string());
                        step.from = Some(value.incoming.to_json());
                        step.reasons = value.reasons.iter().map(ReasonView::from).collect();
                    });
                }
            }
            Event::ConflictNoted(conflict) => {
                let whose = match conflict.loser {
                    Loser::Ours => "ours at the partner",
                    Loser::Theirs => "the partner's here",
                };
                for (name, lost) in conflict.fields.iter() {
                    self.add_with("lost", format!("a value of {name} was lost unseen: {whose}"), |step| {
                        step.field = Some(name.to_string());
                        step.from = lost.as_ref().map(|lost| lost.value.to_json());
                    });
                }
            }
            other => {
                let name = Event::kind_name(other.kind());
                self.add(name, format!("{name}: see the event itself with `tieline log show`"));
            }
        }
    }

    fn received(&mut self, received: &Received) {
        let (partner, kind) = (self.partner(received.connection), Message::kind_name(received.kind));
        self.add(
            "came",
            format!(
                "{kind} came from {partner} at position {}, committed there at {}",
                received.position, received.time
            ),
        );
        let connection = self.state.connections.get(&received.connection);
        if let (Some(connection), Ok(message)) = (connection, Message::decode(received.kind, &received.body))
        {
            match &message {
                Message::Grant(m) => self.mapped(connection, m.share, Some(&m.object), &m.content),
                Message::Snapshot(m) => self.mapped(connection, m.share, None, &m.content),
                Message::Change(m) => self.mapped(connection, m.share, None, &m.content),
                _ => {}
            }
        }
        self.validated(received);
        if let Some(outcome) = received.outcome {
            self.add_with("ended", format!("it ended {}", outcome.as_str()), |step| {
                step.reasons = received.reasons.iter().map(ReasonView::from).collect();
            });
        }
    }

    /// Each reason against the message, with the field and what it would have become.
    fn validated(&mut self, received: &Received) {
        for reason in &received.reasons {
            let tried = reason.field.as_ref().and_then(|field| {
                let mapped = self
                    .steps
                    .iter()
                    .rev()
                    .find(|step| step.what == "mapped" && step.field.as_deref() == Some(field.as_str()));
                let mapped = mapped.and_then(|step| step.to.clone().or_else(|| step.from.clone()));
                let there = || {
                    let record = self.state.record(received.record?)?;
                    Some(record.value(field).to_json())
                };
                mapped.or_else(there)
            });
            let text = match &reason.rule {
                Some(rule) => format!("the validation rule {rule} refused it"),
                None => "it was refused".to_owned(),
            };
            self.add_with("refused", text, |step| {
                step.field = reason.field.as_ref().map(ToString::to_string);
                step.to = tried;
                step.reasons = vec![ReasonView::from(reason)];
            });
        }
    }

    fn mapped(
        &mut self,
        connection: &Connection,
        share: ShareId,
        remote: Option<&ObjectName>,
        content: &Content,
    ) {
        let local = connection.local_object(share, remote);
        let rule: Option<&SubscribeRule> =
            local.and_then(|local| connection.subscribe.values().find(|rule| rule.local == *local));
        let schema = local.and_then(|local| self.state.object(local)).cloned();
        for (name, value, stamp) in content.iter() {
            let mappings: Vec<_> = rule.into_iter().flat_map(|rule| rule.takes(name)).collect();
            if mappings.is_empty() {
                self.add_with("mapped", format!("the partner's {name} is not taken"), |step| {
                    step.from = Some(value.to_json());
                });
                continue;
            }
            for mapping in mappings {
                let field = schema.as_ref().and_then(|schema| schema.field(&mapping.local));
                let became = rule.zip(field).map(|(rule, field)| rule.map_value(mapping, value, field));
                let version = rule.map_or(0, |rule| rule.version);
                let when = if self.then { "" } else { " of now" };
                let text = format!(
                    "the partner's {name}, written at {}, is our {} by mapping {version}{when}",
                    stamp.time, mapping.local
                );
                self.add_with("mapped", text, |step| {
                    step.field = Some(mapping.local.to_string());
                    step.from = Some(value.to_json());
                    match became {
                        Some(Ok(value)) => step.to = Some(value.to_json()),
                        Some(Err(reason)) => step.reasons = vec![ReasonView::from(&reason)],
                        None => {}
                    }
                });
            }
        }
    }

    fn changed(&mut self, changed: &RecordChanged) {
        for (name, value) in changed.content.values.iter() {
            let from = match changed.origin_of(name) {
                Some(origin) => {
                    format!(
                        "as it came from {}, by mapping {}",
                        self.partner(origin.connection),
                        origin.mapping
                    )
                }
                None => format!("by {}", changed.actor),
            };
            self.add_with(
                "wrote",
                format!("{name} of {} {} was written {from}", changed.object, changed.record),
                |step| {
                    step.field = Some(name.to_string());
                    step.to = Some(value.to_json());
                },
            );
        }
        if let Some(owner) = &changed.owner {
            self.add("wrote", format!("{owner} owns it from now on"));
        }
        for delivery in &changed.deliveries {
            let partner = self.partner(delivery.connection);
            self.add("sent", format!("it went to {partner} at position {}", delivery.position));
        }
    }
}

/// What fields were before the events of a group.
fn before(
    log: &tieline_store::LogReader,
    changed: &RecordChanged,
    field: &str,
) -> Result<Option<Json_>, tieline_store::ReadError> {
    let mut prev = changed.prev;
    for _ in 0..STEPS_MAX {
        if prev == Seq(0) {
            break;
        }
        let Some(step) = history_step(log, changed.record, prev)? else { break };
        for (_, event) in &step.events {
            if let Event::RecordChanged(earlier) = event
                && let Some(value) = earlier.content.values.get(field)
            {
                return Ok(Some(value.to_json()));
            }
        }
        prev = step.prev;
    }
    Ok(Some(Json_::Null))
}

/// Says what the command or message behind an event did, and why (OPS-03).
#[utoipa::path(get, path = "/v1/explain/{seq}", tag = "log",
    params(("seq" = u64, Path, description = "The event.")),
    responses((status = 200, body = Explanation)))]
pub(crate) async fn event(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Route(seq): Route<u64>,
) -> Result<Json<Explanation>, Problem> {
    let (log, org) = (api.org.log(), api.org.clone());
    let explained = blocking(move || {
        let groups = log.read_from(Seq(seq), 0)?;
        let group = groups.groups().find(|group| group.first <= Seq(seq) && Seq(seq) <= group.last);
        let Some(group) = group else { return Ok(None) };
        let events: Vec<(Seq, Event)> = group
            .events()
            .filter_map(|stored| Some((stored.seq, Event::decode(stored.kind, stored.body).ok()?)))
            .collect();
        // The state only names partners and the mappings of now; what is durable was told before.
        let mut steps = org.peek(|state| {
            let mut steps = Steps { state, then: false, seq: Seq(0), steps: Vec::new() };
            for (seq, event) in &events {
                steps.seq = *seq;
                steps.event(event);
            }
            steps.steps
        });
        for step in steps.iter_mut().filter(|step| step.what == "wrote") {
            let changed = events.iter().find(|(seq, _)| seq.0 == step.seq);
            if let (Some((_, Event::RecordChanged(changed))), Some(field)) = (changed, &step.field) {
                step.from = before(&log, changed, field)?;
            }
        }
        let (first, last) = (group.first.0, group.last.0);
        Ok(Some(Explanation { first, last, time: group.time.to_string(), steps }))
    });
    let explained = explained.await?.map_err(|error: tieline_store::ReadError| unreadable(&error))?;
    let unknown = || Problem::new(ErrorCode::NotFound, format!("there is no event {seq} yet"));
    explained.map(Json).ok_or_else(unknown)
}

/// Says where each value of a record comes from, and what waits (OPS-03).
#[utoipa::path(get, path = "/v1/records/{object}/{id}/explain", tag = "records",
    params(("object" = String, Path, description = "The object."),
        ("id" = String, Path, description = "The record.")),
    responses((status = 200, body = RecordExplanation)))]
pub(crate) async fn of_record(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route((name, id)): Route<(ObjectName, RecordId)>,
) -> Result<Json<RecordExplanation>, Problem> {
    super::read(&api, |state| {
        object(state, actor.reading(state), name.as_str())?;
        let found = record(state, &name, id)?;
        let partner = |id: &ConnectionId| {
            state.connections.get(id).map(|connection| connection.display_name().to_owned())
        };
        let fields = found.fields.iter().map(|(name, field)| FieldOrigin {
            field: name.to_string(),
            value: field.value.to_json(),
            written: field.stamp.time.to_string(),
            org: state.org_name(field.stamp.org).map(ToString::to_string),
            partner: field.came_over().as_ref().and_then(partner),
            mapping: field.source.as_ref().map(|source| source.origin.mapping),
        });
        let pending = found.pending.iter().map(|(name, value)| StepView {
            what: "waits".to_owned(),
            text: format!(
                "a value of {}, written at {}, waits",
                partner(&value.origin.connection).unwrap_or_default(),
                value.stamp.time
            ),
            field: Some(name.to_string()),
            from: Some(value.incoming.to_json()),
            reasons: value.reasons.iter().map(ReasonView::from).collect(),
            ..StepView::default()
        });
        let shares = found.shares.iter().filter_map(|(connection, share)| {
            let connection = state.connections.get(connection)?;
            Some(ShareView::of(connection, *share, connection.shares.get(share)?))
        });
        Ok(RecordExplanation {
            record: id.to_string(),
            fields: fields.collect(),
            pending: pending.collect(),
            shares: shares.collect(),
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_without_values_shows_none() {
        let state = State::default();
        let mut steps = Steps { state: &state, then: true, seq: Seq(7), steps: Vec::new() };
        steps.add_with("came", "x".to_owned(), |step| step.field = Some("Name".to_owned()));
        let json = serde_json::to_value(&steps.steps[0]).unwrap();
        assert_eq!(json, serde_json::json!({"seq": 7, "what": "came", "text": "x", "field": "Name"}));
        assert_eq!(steps.partner(ConnectionId(1)), ConnectionId(1).to_string());
    }
}
