//! Why a message or a share is as it is (OPS-02, OPS-03): stage by stage what happened, as the org was then,
//! and what would come of it by the rules of today. A comparison, and no history: nothing is written.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json_;
use tieline_core::apply::apply;
use tieline_core::command::Context;
use tieline_core::decide::decide_message_with_rules;
use tieline_core::event::{Event, ObjectDefined, Received, SubscribeRuleSet};
use tieline_core::mapping::SubscribeRule;
use tieline_core::message::{Envelope, Message, OutcomeDetail};
use tieline_core::outcome::Outcome;
use tieline_core::reason::Reason;
use tieline_core::schema::ObjectSchema;
use tieline_core::state::{Connection, Ruling, State};
use tieline_core::{ConnectionId, ObjectName, Position, Seq, ShareId, Timestamp, UserName};
use utoipa::ToSchema;

use super::auth::Actor;
use super::explain::{StepView, steps_of};
use super::past::{Past, fold, folding, within};
use super::problem::{ErrorCode, Problem, ReasonView};
use super::request::{Params, Route};
use super::{Api, select};

/// Most groups that are told at a time.
const GROUPS_MAX: usize = 200;

/// Which message, or which share.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TraceQuery {
    /// The message of the partner at this position.
    position: Option<u64>,
    /// The message of ours at this position.
    sent: Option<u64>,
    /// Everything that happened to this share.
    #[param(value_type = Option<String>)]
    share: Option<ShareId>,
}

/// What happened to a message or a share.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Trace {
    /// What happened, in the order of the log.
    stages: Vec<Stage>,
    /// Whether more happened: the newest are told.
    truncated: bool,
}

/// What one command or message did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stage {
    /// The first event of the group.
    first: u64,
    /// The last one.
    last: u64,
    /// When it was decided.
    time: String,
    /// The position of the partner's message, if one came.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
    /// The subscribe rule that it went through, as it was then.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<RuleThen>,
    /// What happened, in order.
    steps: Vec<StepView>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    /// What the other side was told of it, or told us.
    answers: Vec<AnswerStep>,
    /// What would come of it today; nothing for what was decided here.
    #[serde(skip_serializing_if = "Option::is_none")]
    today: Option<Today>,
    /// What the message was; not told.
    #[serde(skip)]
    waits_for: Option<(Way, Position)>,
}

/// A subscribe rule by its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct RuleThen {
    /// The partner's object.
    remote: String,
    /// The object here.
    local: String,
    /// The version of the mapping then.
    version: u32,
    /// The version now; nothing if it is not subscribed any more.
    version_now: Option<u32>,
}

/// An answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AnswerStep {
    /// The event.
    seq: u64,
    /// When.
    time: String,
    /// One sentence.
    text: String,
    /// The outcome that was told.
    outcome: &'static str,
    /// The reasons as they crossed: codes and fields of the reader, never values.
    reasons: Vec<ReasonView>,
}

/// What would come of a message today.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Today {
    /// How it would end.
    outcome: Option<&'static str>,
    /// Why.
    reasons: Vec<ReasonView>,
    /// Whether outcome, reasons and values would be as they were.
    same: bool,
    /// The fields that would be otherwise.
    differences: Vec<TodayDifference>,
}

/// A field that would be otherwise today.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct TodayDifference {
    /// The field here.
    field: String,
    /// What was written then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    then: Option<Json_>,
    /// What would be written today.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    today: Option<Json_>,
}

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

/// The rules of today: objects, what is subscribed of a partner, queues, assignment and workflow.
struct Rules {
    objects: Vec<ObjectSchema>,
    subscribe: BTreeMap<ObjectName, SubscribeRule>,
    ruling: Ruling,
}

impl Rules {
    fn of(state: &State, connection: ConnectionId) -> Self {
        let subscribe = state.connections.get(&connection).map(|found| found.subscribe.clone());
        let objects = state.objects.values().map(|object| object.as_ref().clone()).collect();
        Self { objects, subscribe: subscribe.unwrap_or_default(), ruling: state.automation.ruling() }
    }

    /// The org of then with these rules.
    fn put_into(&self, state: &mut State, connection: ConnectionId, time: Timestamp) {
        let actor = UserName::connection_user();
        for schema in &self.objects {
            let known = state.object(&schema.name).is_some_and(|known| **known == *schema);
            if !known {
                let defined = ObjectDefined { schema: schema.clone(), actor: actor.clone() };
                apply(state, time, &Event::from(defined));
            }
        }
        let known = state.connections.get(&connection).map(|found| found.subscribe.clone());
        let known = known.unwrap_or_default();
        let gone = known.keys().filter(|object| !self.subscribe.contains_key(*object));
        let gone = gone.map(|object| (object.clone(), None)).collect::<Vec<_>>();
        let set = self.subscribe.iter().filter(|(object, rule)| known.get(*object) != Some(rule));
        let set = set.map(|(object, rule)| (object.clone(), Some(rule.clone())));
        for (object, rule) in gone.into_iter().chain(set) {
            let event = SubscribeRuleSet { connection, object, rule, actor: actor.clone() };
            apply(state, time, &Event::from(event));
        }
        state.automation.rule_by(self.ruling.clone());
    }
}

/// The share that an event is about, over a connection.
fn share_of(event: &Event, connection: ConnectionId) -> Option<ShareId> {
    let (over, share) = match event {
        Event::Received(e) => (e.connection, e.share?),
        Event::MessageSettled(e) => (e.connection, e.share?),
        Event::ShareOffered(e) => (e.connection, e.share),
        Event::ChildGranted(e) => (e.connection, e.share),
        Event::OfferReceived(e) => (e.connection, e.share),
        Event::OfferAnswered(e) => (e.connection, e.share),
        Event::GrantRequested(e) => (e.connection, e.share),
        Event::ShareGranted(e) => (e.connection, e.share),
        Event::ShareRefused(e) => (e.connection, e.share),
        Event::ShareLinked(e) => (e.connection, e.share),
        Event::ShareHeard(e) => (e.connection, e.share),
        Event::ShareRestored(e) => (e.connection, e.share),
        Event::ShareClosed(e) => (e.connection, e.share),
        _ => return None,
    };
    (over == connection).then_some(share)
}

/// The positions of our messages that an event made over a connection, with their shares.
fn sent(event: &Event, connection: ConnectionId) -> Vec<(Position, ShareId)> {
    let delivery = |delivery: &tieline_core::event::Delivery| {
        (delivery.connection == connection).then_some((delivery.position, delivery.share))
    };
    match event {
        Event::RecordChanged(e) => e.deliveries.iter().filter_map(delivery).collect(),
        Event::SnapshotSent(e) => delivery(&e.delivery).into_iter().collect(),
        Event::ShareOffered(e) if e.connection == connection => vec![(e.position, e.share)],
        Event::ChildGranted(e) if e.connection == connection => vec![(e.position, e.share)],
        _ => Vec::new(),
    }
}

/// The search for a message or a share.
struct Search {
    connection: ConnectionId,
    query: TraceQuery,
    rules: Rules,
    trace: Trace,
}

impl Search {
    /// Looks at a group and at the org as it was before it.
    fn see(&mut self, state: &State, group: &Past) -> ControlFlow<()> {
        self.answers(group);
        if self.is_meant(group) {
            let stage = self.stage(state, group);
            self.trace.stages.push(stage);
            if self.trace.stages.len() > GROUPS_MAX {
                self.trace.stages.remove(0);
                self.trace.truncated = true;
            }
            // The answer to the last message of a frame stands in the same group.
            self.answers(group);
        }
        let one = self.query.share.is_none();
        let told = self.trace.stages.first().is_some_and(|stage| !stage.answers.is_empty() && ended(stage));
        if one && told { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn is_meant(&self, group: &Past) -> bool {
        let TraceQuery { position, sent: ours, share } = &self.query;
        group.events.iter().any(|(_, event)| {
            let came = match event {
                Event::Received(e) => e.connection == self.connection && *position == Some(e.position.0),
                _ => false,
            };
            let about = share.is_some_and(|share| share_of(event, self.connection) == Some(share));
            let went = (ours.is_some() || share.is_some())
                && sent(event, self.connection)
                    .iter()
                    .any(|(at, of)| *ours == Some(at.0) || share.as_ref() == Some(of));
            came || about || went
        })
    }

    fn stage(&self, state: &State, group: &Past) -> Stage {
        let first = group.events.first().map_or(0, |(seq, _)| seq.0);
        let last = group.events.last().map_or(0, |(seq, _)| seq.0);
        let came = group.events.iter().find_map(|(_, event)| match event {
            Event::Received(e) if e.connection == self.connection => Some(e),
            _ => None,
        });
        let went = group
            .events
            .iter()
            .flat_map(|(_, event)| sent(event, self.connection))
            .find(|(at, of)| self.query.sent == Some(at.0) || self.query.share.as_ref() == Some(of));
        let connection = state.connections.get(&self.connection);
        Stage {
            first,
            last,
            time: group.time.to_string(),
            position: came.map(|received| received.position.0),
            rule: came.zip(connection).and_then(|(came, connection)| self.rule(connection, came)),
            steps: steps_of(state, &group.events),
            outcome: came.and_then(|received| received.outcome).map(Outcome::as_str),
            answers: Vec::new(),
            today: came.and_then(|received| self.today(state, group, received)),
            waits_for: came
                .map(|received| (Way::In, received.position))
                .or_else(|| went.map(|(position, _)| (Way::Out, position))),
        }
    }

    fn rule(&self, connection: &Connection, came: &Received) -> Option<RuleThen> {
        let remote = match Message::decode(came.kind, &came.body).ok()? {
            Message::Offer(m) => m.object,
            Message::Grant(m) => m.object,
            _ => connection.shares.get(&came.share?)?.object.clone(),
        };
        let rule = connection.subscribe.get(&remote)?;
        Some(RuleThen {
            remote: remote.to_string(),
            local: rule.local.to_string(),
            version: rule.version,
            version_now: self.rules.subscribe.get(&remote).map(|rule| rule.version),
        })
    }

    /// Decides the message again on the org of then with the rules of today.
    fn today(&self, state: &State, group: &Past, came: &Received) -> Option<Today> {
        came.outcome?;
        let mut with = state.clone();
        self.rules.put_into(&mut with, self.connection, group.time);
        let context = Context { now: group.time, actor: UserName::connection_user(), entropy: [0; 32] };
        let Received { position, seq, time, chain, kind, .. } = *came;
        let envelope = Envelope { seq, time, kind, body: came.body.clone() };
        let events = decide_message_with_rules(with, self.connection, position, chain, &envelope, &context);
        let then: Vec<&Event> = group.events.iter().map(|(_, event)| event).collect();
        Some(compared(&then, &events.iter().collect::<Vec<_>>()))
    }

    /// Notes the answers that a group holds to what waits for one.
    fn answers(&mut self, group: &Past) {
        for (seq, event) in &group.events {
            for stage in self.trace.stages.iter_mut().filter(|stage| stage.waits_for.is_some()) {
                let Some(of) = stage.waits_for else { continue };
                if stage.answers.iter().any(|known| known.seq == seq.0) {
                    continue;
                }
                let first = stage.answers.is_empty();
                let Some((text, detail)) = answer(event, self.connection, of, first) else { continue };
                let outcome = detail.as_ref().map(|detail| detail.outcome.as_str()).or(stage.outcome);
                let reasons = detail.iter().flat_map(|detail| &detail.reasons).map(|reason| ReasonView {
                    code: reason.code.as_str(),
                    field: reason.field.as_ref().map(ToString::to_string),
                    rule: None,
                    message: String::new(),
                });
                stage.answers.push(AnswerStep {
                    seq: seq.0,
                    time: group.time.to_string(),
                    text: text.to_owned(),
                    // What is told without a detail changed something or was there already.
                    outcome: outcome.unwrap_or(Outcome::Applied.as_str()),
                    reasons: reasons.collect(),
                });
            }
        }
    }
}

/// Whether nothing more is to be told of a message.
fn ended(stage: &Stage) -> bool {
    stage.answers.last().is_some_and(|answer| answer.outcome != Outcome::Held.as_str())
}

/// What an event says of the end of a message: in words, and in detail if it was not simply applied. The
/// first report that reaches as far as the message tells of it (`first`), later ones of others.
fn answer(
    event: &Event,
    connection: ConnectionId,
    (way, position): (Way, Position),
    first: bool,
) -> Option<(&'static str, Option<OutcomeDetail>)> {
    let report = |upto: Position, details: &[OutcomeDetail]| {
        let detail = details.iter().find(|detail| detail.position == position);
        (first && position <= upto).then(|| detail.cloned())
    };
    match (event, way) {
        (Event::OutcomesReported(e), Way::In) if e.connection == connection => {
            Some(("the partner was told how it ended", report(e.upto, &e.details)?))
        }
        (Event::SettledSent(e), Way::In) if e.connection == connection && e.detail.position == position => {
            Some(("the partner was told how it ended at last", Some(e.detail.clone())))
        }
        (Event::Received(e), Way::Out) if e.connection == connection => {
            match Message::decode(e.kind, &e.body).ok()? {
                Message::OutcomeReport(m) => {
                    Some(("the partner told how it ended", report(m.upto, &m.details)?))
                }
                Message::Settled(m) if m.detail.position == position => {
                    Some(("the partner told how it ended at last", Some(m.detail)))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// What a message would come to, beside what it came to.
fn compared(then: &[&Event], today: &[&Event]) -> Today {
    let end = |events: &[&Event]| {
        events.iter().find_map(|event| match event {
            Event::Received(e) => Some((e.outcome, e.reasons.clone())),
            _ => None,
        })
    };
    let (was, is) = (end(then).unwrap_or_default(), end(today).unwrap_or_default());
    let (before, after) = (written(then), written(today));
    let fields = before.keys().chain(after.keys()).collect::<std::collections::BTreeSet<_>>();
    let differences: Vec<TodayDifference> = fields
        .into_iter()
        .filter(|field| before.get(*field) != after.get(*field))
        .map(|field| TodayDifference {
            field: field.clone(),
            then: before.get(field).cloned(),
            today: after.get(field).cloned(),
        })
        .collect();
    let told = |reasons: &[Reason]| -> Vec<_> {
        reasons.iter().map(|reason| (reason.code, reason.field.clone(), reason.rule.clone())).collect()
    };
    let same = was.0 == is.0 && told(&was.1) == told(&is.1) && differences.is_empty();
    Today {
        outcome: is.0.map(Outcome::as_str),
        reasons: is.1.iter().map(ReasonView::from).collect(),
        same,
        differences,
    }
}

/// The values that events wrote, by field, and the owner.
fn written(events: &[&Event]) -> BTreeMap<String, Json_> {
    let of = |event: &&Event| match event {
        Event::RecordChanged(e) => {
            let owner = e.owner.iter().map(|owner| ("owner".to_owned(), owner.to_string().into()));
            e.content.iter().map(|(n, v, _)| (n.to_string(), v.to_json())).chain(owner).collect()
        }
        _ => Vec::new(),
    };
    events.iter().flat_map(of).collect()
}

/// Says what happened to a message or a share, stage by stage, what the other side was told, and what would
/// come of it by the rules of today. Nothing is written.
#[utoipa::path(get, path = "/v1/connections/{c}/explain", tag = "log",
    params(("c" = String, Path, description = "Id, partner or label."), TraceQuery),
    responses((status = 200, body = Trace)))]
pub(crate) async fn trace(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Route(selector): Route<String>,
    Params(query): Params<TraceQuery>,
) -> Result<Json<Trace>, Problem> {
    let named = [query.position.is_some(), query.sent.is_some(), query.share.is_some()];
    if named.into_iter().filter(|named| *named).count() != 1 {
        let detail = "name a position of the partner's, a position of ours, or a share: one of them";
        return Err(Problem::new(ErrorCode::BadQuery, detail));
    }
    let (connection, rules) = api
        .org
        .read(|state| {
            let id = select::connection(state, &selector)?.id;
            Ok::<_, Problem>((id, Rules::of(state, id)))
        })
        .await?;
    let most = api.org.shared.past_events_max;
    let trace = folding(&api, Seq(u64::MAX), move |log, until| {
        within(Seq(0), until, most)?;
        let mut search = Search { connection, query, rules, trace: Trace::default() };
        fold(log, State::default(), until, most, |state, group| search.see(state, group))?;
        Ok(search.trace)
    })
    .await?;
    if trace.stages.is_empty() {
        let detail = "nothing of it is in the log: see `tieline share list` and `tieline failure list`";
        return Err(Problem::new(ErrorCode::NotFound, detail));
    }
    Ok(Json(trace))
}
