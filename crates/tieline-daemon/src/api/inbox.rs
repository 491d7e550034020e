//! The inbox: offers of partners, to be accepted or declined (S2S-46, S2S-47).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json_};
use smol_str::SmolStr;
use tieline_core::command::{Command, SharingCommand};
use tieline_core::decide::answering;
use tieline_core::job::JobKind;
use tieline_core::state::{Connection, Share, ShareRole, ShareStatus, State};
use tieline_core::{ConnectionId, ObjectName, Owner, RecordId, ShareId};
use utoipa::ToSchema;

use super::auth::Actor;
use super::batch::{ItemResult, check_count};
use super::connection_view::cause;
use super::once::Keyed;
use super::problem::{ErrorCode, Problem, ReasonView};
use super::records::assign_to;
use super::request::{Body, Params, cursor, page_size};
use super::share_view::{ShareProblemView, status};
use super::shares::{ItemResults, LOOKED_AT_MAX, StartedJob, start_jobs};
use super::values::values_json;
use super::{Api, select};
use crate::org::Executed;

/// How long a request waits for what comes of its acceptances.
const ACCEPT_WAIT_S_MAX: u64 = 30;

/// Which offers.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct InboxQuery {
    /// Only offers of this connection: id, partner or label.
    connection: Option<String>,
    /// Only offers of this object of the partner.
    object: Option<String>,
    /// Most offers of the page: 100 if not said, 1,000 at most.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Some offers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InboxPage {
    /// The offers, by connection and share.
    offers: Vec<OfferView>,
    /// Where the next page begins; without it, this is the last. A page may be short and have one.
    next: Option<String>,
}

/// A record that a partner offers, or that was granted and could not be created yet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OfferView {
    /// The share, by which it is accepted or declined.
    share: String,
    /// The connection.
    connection: String,
    /// The partner, or the label of the connection.
    partner: String,
    /// The partner's object.
    object: String,
    /// The partner's record.
    origin_record: String,
    /// `offered`, `accepting` while the partner has not answered, or `granted` if it was accepted and could
    /// not be created.
    status: &'static str,
    /// When it was offered.
    offered: String,
    /// How often it was offered.
    generation: u32,
    /// The partner's view fields, by the partner's names.
    #[schema(value_type = Object)]
    preview: Map<String, Json_>,
    /// Why it could not be created.
    problem: Option<ShareProblemView>,
    /// What an accepted offer waits for.
    waits_for: Option<String>,
}

/// Offers to be accepted: `shares`, or `all`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptBody {
    /// Of which connection: id, partner or label.
    connection: String,
    /// These; at most 1,000.
    #[schema(value_type = Option<Vec<String>>)]
    shares: Option<Vec<ShareId>>,
    /// Everything that waits.
    #[serde(default)]
    all: bool,
    /// With `all`, only offers of this object of the partner.
    #[schema(value_type = Option<String>)]
    object: Option<ObjectName>,
    /// Who will own the records, a user or `queue:` with the name of a queue; without
    /// one, whoever accepts.
    #[schema(value_type = Option<String>)]
    owner: Option<Owner>,
    /// Whether the assignment rules say who will own the records (S2S-47).
    #[serde(default)]
    assign: bool,
    /// With `shares`, the type of the records, where it is chosen: for Account, Contact and Opportunity.
    #[schema(value_type = Option<String>)]
    record_type: Option<SmolStr>,
    /// With `shares`, wait at most so many seconds for what comes of it; 30 at most.
    wait_s: Option<u64>,
    /// With `shares`, the records of this org that become the copies, by share; they keep their
    /// owners. A share that is not named here gets a new record.
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    into: Option<BTreeMap<ShareId, RecordId>>,
}

/// What became of a request to accept: `results`, or a `job` for all.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// One result for each share.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    results: Vec<ItemResult>,
    /// What came of each share, if it was waited for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outcomes: Vec<AcceptOutcome>,
    /// The job that accepts all.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<StartedJob>,
}

/// What came of an accepted offer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AcceptOutcome {
    /// The share.
    share: String,
    /// How it stands: `active` with a record, `taken` by another, `granted` and not created, `accepting`
    /// while the partner has not answered, `offered` if it was not accepted.
    status: &'static str,
    /// The record here, once there is one.
    record: Option<String>,
    /// Why there is none: `rule`, `taken`, `not_reachable`, `not_answered`, `no_permission`, `refused`.
    cause: Option<&'static str>,
    /// One sentence about the cause.
    detail: Option<String>,
    /// The rules, fields and values that refused the record.
    reasons: Vec<ReasonView>,
}

/// Offers to be declined.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeclineBody {
    /// Of which connection: id, partner or label.
    connection: String,
    /// The offers; at most 1,000.
    #[schema(value_type = Vec<String>)]
    shares: Vec<ShareId>,
}

/// A place in the inbox: a connection and a share, with a `.` between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) ConnectionId, pub(crate) ShareId);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (connection, share) = text.split_once('.').ok_or("it has no dot")?;
        let connection = connection.parse().map_err(|error: tieline_core::InvalidId| error.to_string())?;
        let share = share.parse().map_err(|error: tieline_core::InvalidId| error.to_string())?;
        Ok(Self(connection, share))
    }
}

impl OfferView {
    pub(crate) fn of(connection: &Connection, id: ShareId, share: &Share) -> Self {
        Self {
            share: id.to_string(),
            connection: connection.id.to_string(),
            partner: connection.display_name().to_owned(),
            object: share.object.to_string(),
            origin_record: share.origin_record.to_string(),
            status: status(share.status),
            offered: share.offered.to_string(),
            generation: share.generation,
            preview: values_json(&share.preview),
            problem: share.problem.as_deref().map(ShareProblemView::from),
            waits_for: None,
        }
    }

    /// The same, with what an accepted offer waits for.
    fn awaited(api: &Api, connection: &Connection, id: ShareId, share: &Share) -> Self {
        let accepted = share.status == ShareStatus::Accepting;
        let waits_for = accepted.then(|| awaited(api, connection).1);
        Self { waits_for, ..Self::of(connection, id, share) }
    }
}

/// Why a partner has not answered: a cause and a sentence.
fn awaited(api: &Api, connection: &Connection) -> (&'static str, String) {
    let name = connection.display_name();
    match cause(api, connection) {
        Some(cause) => {
            ("not_reachable", format!("{name} cannot be reached: {cause}; it is asked as soon as it can"))
        }
        None => ("not_answered", format!("{name} has not answered yet")),
    }
}

/// Whether a share waits for a person: offered, or granted and not created.
pub(crate) fn waits(share: &Share) -> bool {
    share.role == ShareRole::Copy && matches!(share.status, ShareStatus::Offered | ShareStatus::Granted)
}

/// Whether a share is shown in the inbox: it waits for a person, or was accepted and is not here yet.
fn is_shown(share: &Share) -> bool {
    waits(share) || share.role == ShareRole::Copy && share.status == ShareStatus::Accepting
}

/// Everything in the inbox after `after`, of one connection or of all.
pub(crate) fn shares_after(
    state: &State,
    only: Option<ConnectionId>,
    after: Option<Place>,
) -> impl Iterator<Item = (&Connection, ShareId, &Share)> {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let start = after.map_or(Unbounded, |Place(connection, _)| Included(connection));
    let connections = state.connections.range((start, Unbounded)).map(|(_, connection)| connection);
    let connections = connections.filter(move |connection| only.is_none_or(|only| only == connection.id));
    connections.flat_map(move |connection| {
        let first = after.filter(|Place(id, _)| *id == connection.id);
        let first = first.map_or(Unbounded, |Place(_, share)| Excluded(share));
        connection.shares.range((first, Unbounded)).map(move |(id, share)| (connection, *id, share))
    })
}

/// Lists what waits in the inbox and the user may accept; what is not subscribed, only to those who may
/// subscribe it (S2S-46).
#[utoipa::path(get, path = "/v1/inbox", tag = "inbox", params(InboxQuery),
    responses((status = 200, body = InboxPage)))]
pub(crate) async fn list(
    Extract(api): Extract<Api>,
    actor: Actor,
    Params(query): Params<InboxQuery>,
) -> Result<Json<InboxPage>, Problem> {
    let after: Option<Place> = cursor(query.cursor.as_deref())?;
    let limit = page_size(query.limit);
    super::read(&api, |state| {
        let only =
            query.connection.as_deref().map(|selector| select::connection(state, selector)).transpose()?;
        let reading = actor.reading(state);
        let mut page = InboxPage { offers: Vec::new(), next: None };
        let mut last = None;
        let shares = shares_after(state, only.map(|connection| connection.id), after);
        for (looked_at, (connection, id, share)) in shares.enumerate() {
            if page.offers.len() == limit || looked_at == LOOKED_AT_MAX {
                page.next = last.map(|place: Place| place.to_string());
                break;
            }
            last = Some(Place(connection.id, id));
            let meant = query.object.as_deref().is_none_or(|object| share.object.as_str() == object);
            if meant && is_shown(share) && reading.may(answering(connection, share)) {
                page.offers.push(OfferView::awaited(&api, connection, id, share));
            }
        }
        Ok(page)
    })
    .await
}

/// Accepts offers; a copy is made as soon as the partner grants it.
#[utoipa::path(post, path = "/v1/inbox/accept", tag = "inbox", request_body = AcceptBody,
    responses((status = 200, body = Accepted)))]
pub(crate) async fn accept(
    Extract(api): Extract<Api>,
    actor: Actor,
    keyed: Keyed,
    Body(body): Body<AcceptBody>,
) -> Result<Json<Accepted>, Problem> {
    let AcceptBody { connection, shares, all, object, owner, assign, record_type, wait_s, into } = body;
    let owner = assign_to(owner, assign)?;
    let into = into.unwrap_or_default();
    let connection = api.connection_id(&connection)?;
    let bad = |detail: &str| Err(Problem::new(ErrorCode::BadBody, detail));
    let accepted = match (shares, all) {
        (Some(_), false) if object.is_some() => return bad("object goes with all: leave it out"),
        (None, true) if record_type.is_some() => return bad("record_type goes with shares: leave it out"),
        (None, true) if !into.is_empty() => return bad("into goes with shares: leave it out"),
        (Some(shares), false) if !into.keys().all(|share| shares.contains(share)) => {
            return bad("into names a share that shares does not");
        }
        (Some(shares), false) => {
            check_count("shares", shares.len())?;
            let accept = |share| {
                Ok(match into.get(&share) {
                    Some(record) => Command::Adopt { connection, share, record: *record },
                    None => {
                        let (owner, record_type) = (owner.clone(), record_type.clone());
                        Command::Sharing(SharingCommand::Accept { connection, share, owner, record_type })
                    }
                })
            };
            let commands = shares.iter().copied().map(accept).collect();
            let results = api.execute_items(commands, &actor, &keyed).await?;
            let outcomes = match wait_s {
                Some(wait_s) => outcomes(&api, connection, &shares, &results, wait_s).await,
                None => Vec::new(),
            };
            let results = results.into_iter().map(|result| ItemResult::of(result, None)).collect();
            Accepted { results, outcomes, job: None }
        }
        (None, true) => {
            let kinds = std::iter::once(JobKind::Accept { connection, object, to: owner });
            let job = start_jobs(&api, &actor, &keyed, kinds).await?.pop();
            Accepted { results: Vec::new(), outcomes: Vec::new(), job }
        }
        _ => return bad("name shares, or set all to true: one of both"),
    };
    Ok(Json(accepted))
}

/// Waits until the partner has answered each acceptance, or the time is over; how each stands then.
async fn outcomes(
    api: &Api,
    connection: ConnectionId,
    shares: &[ShareId],
    results: &[Result<Executed, Problem>],
    wait_s: u64,
) -> Vec<AcceptOutcome> {
    let look = |state: &State| -> Vec<AcceptOutcome> {
        let found = state.connections.get(&connection);
        let each = shares.iter().zip(results);
        each.map(|(share, result)| AcceptOutcome::of(api, found, *share, result.as_ref().err())).collect()
    };
    let mut durable = api.org.durable();
    let end = tokio::time::Instant::now() + Duration::from_secs(wait_s.min(ACCEPT_WAIT_S_MAX));
    loop {
        durable.borrow_and_update();
        let outcomes = api.org.read(look).await;
        let awaited = outcomes.iter().any(|outcome| outcome.status == status(ShareStatus::Accepting));
        if !awaited || tokio::time::timeout_at(end, durable.changed()).await.is_err() {
            return outcomes;
        }
    }
}

impl AcceptOutcome {
    fn of(api: &Api, connection: Option<&Connection>, id: ShareId, refused: Option<&Problem>) -> Self {
        let share = connection.and_then(|connection| Some((connection, connection.shares.get(&id)?)));
        let mut outcome = Self {
            share: id.to_string(),
            status: share.map_or("unknown", |(_, share)| status(share.status)),
            record: None,
            cause: None,
            detail: None,
            reasons: Vec::new(),
        };
        let Some((connection, share)) = share else {
            return outcome.because("refused", "there is no such share");
        };
        if let Some(problem) = refused {
            let cause = if problem.code == ErrorCode::NoPermission { "no_permission" } else { "refused" };
            outcome.reasons.clone_from(&problem.reasons);
            return outcome.because(cause, &problem.detail);
        }
        match share.status {
            ShareStatus::Active => {
                outcome.record = share.record.map(|record| record.to_string());
                outcome
            }
            ShareStatus::Granted => {
                let problem = share.problem.as_deref();
                let reasons = problem.map(|problem| problem.reasons.iter().map(ReasonView::from).collect());
                outcome.reasons = reasons.unwrap_or_default();
                outcome.because(
                    "rule",
                    "the record was granted and is refused here: mend the cause, then try it again",
                )
            }
            ShareStatus::Accepting => {
                let (cause, detail) = awaited(api, connection);
                outcome.because(cause, &detail)
            }
            ShareStatus::Taken => {
                outcome.because("taken", &format!("another has the record of {}", connection.display_name()))
            }
            ended => outcome.because("refused", &format!("the offer is {}", ended.label())),
        }
    }

    fn because(mut self, cause: &'static str, detail: &str) -> Self {
        self.cause = Some(cause);
        self.detail = Some(detail.to_owned());
        self
    }
}

/// Declines offers, or gives back grants whose records cannot be created.
#[utoipa::path(post, path = "/v1/inbox/decline", tag = "inbox", request_body = DeclineBody,
    responses((status = 200, body = ItemResults)))]
pub(crate) async fn decline(
    Extract(api): Extract<Api>,
    actor: Actor,
    keyed: Keyed,
    Body(body): Body<DeclineBody>,
) -> Result<Json<ItemResults>, Problem> {
    check_count("shares", body.shares.len())?;
    let connection = api.connection_id(&body.connection)?;
    let decline = |share| Ok(Command::Decline { connection, share });
    let results = api.execute_items(body.shares.into_iter().map(decline).collect(), &actor, &keyed).await?;
    Ok(Json(ItemResults {
        results: results.into_iter().map(|result| ItemResult::of(result, None)).collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_text() {
        let place = Place(ConnectionId(3), ShareId(u128::MAX));
        assert_eq!(place.to_string().parse(), Ok(place));
        for text in ["", "x", "x.y", &ConnectionId(1).to_string()] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
