//! Converting leads (S2S-56).

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::command::{Command, Conversion, Reply, SharingCommand};
use tieline_core::conversion::{ConversionMap, Part};
use tieline_core::sharing::Forwarding;
use tieline_core::state::State;
use tieline_core::{ConnectionId, FieldName, ObjectName, RecordId, UserName};
use utoipa::ToSchema;

use super::Api;
use super::Done;
use super::auth::Actor;
use super::batch::ItemResult;
use super::once::Keyed;
use super::problem::Problem;
use super::records;
use super::request::{Body, Route};
use super::shares::ForwardResult;
use super::values::Fields;

/// What a lead becomes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConvertBody {
    /// The account that it joins: what is empty there is filled; without one, an account is created.
    #[schema(value_type = Option<String>)]
    account: Option<RecordId>,
    /// The contact that it is; without one, a contact is created.
    #[schema(value_type = Option<String>)]
    contact: Option<RecordId>,
    /// The fields of an opportunity, if one is to be created; those that it needs have defaults.
    #[schema(value_type = Option<Object>)]
    opportunity: Option<Fields>,
    /// Who owns what is created; without one, the owner of the lead.
    #[schema(value_type = Option<String>)]
    owner: Option<UserName>,
    /// Whether what it became is offered to the connections that had the lead.
    #[serde(default)]
    share_back: bool,
}

/// What a lead became.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConvertedView {
    /// The account.
    account: String,
    /// The contact.
    contact: String,
    /// The opportunity, if there is one.
    opportunity: Option<String>,
    /// With how many connections the lead was shared until then.
    ended_shares: usize,
    /// What became of the offers, if it was to be shared back.
    results: Vec<ForwardResult>,
}

/// The connections over which a lead is shared.
fn sharers(state: &State, lead: RecordId) -> Vec<ConnectionId> {
    let record = state.record(lead);
    let shares = record.into_iter().flat_map(|record| state.shares_of(record));
    shares.filter(|(_, share)| share.is_open()).map(|(connection, _)| connection.id).collect()
}

/// Makes an account, a contact and, if asked for, an opportunity of a lead. Its shares end: partners see
/// it inactive (converted), and convert nothing.
#[utoipa::path(post, path = "/v1/records/{object}/{id}/convert", tag = "records", request_body = ConvertBody,
    params(("object" = String, Path, description = "The object: Lead."), ("id" = String, Path, description = "The lead.")),
    responses((status = 200, body = ConvertedView)))]
pub(crate) async fn convert(
    Extract(api): Extract<Api>,
    actor: Actor,
    keyed: Keyed,
    Route((name, id)): Route<(ObjectName, RecordId)>,
    Body(body): Body<ConvertBody>,
) -> Result<Json<ConvertedView>, Problem> {
    let ConvertBody { account, contact, opportunity, owner, share_back } = body;
    let prepared = api.org.peek(|state| {
        records::record(state, &name, id)?;
        let opportunity = match opportunity {
            Some(fields) => {
                let object = records::object(state, actor.reading(state), "Opportunity")?;
                Some(fields.into_values(object).map_err(Problem::refused)?)
            }
            None => None,
        };
        Ok::<_, Problem>((opportunity, sharers(state, id)))
    });
    let (command, shared) = match prepared {
        Ok((opportunity, shared)) => {
            let conversion = Box::new(Conversion { account, contact, opportunity, owner });
            (Ok(Command::Sharing(SharingCommand::Convert { lead: id, conversion })), shared)
        }
        Err(problem) => (Err(problem), Vec::new()),
    };
    let executed = api.execute_one(command, &actor, &keyed).await?;
    let Reply::Converted { account, contact, opportunity } = executed.reply else {
        return Err(super::unexpected(&executed.reply));
    };
    let mut results = Vec::new();
    if share_back {
        for record in [Some(account), Some(contact), opportunity].into_iter().flatten() {
            for connection in &shared {
                let (connection, how) = (*connection, Forwarding { many: true, ..Forwarding::default() });
                let forward = Command::Sharing(SharingCommand::Forward { record, connection, how });
                let result = api.org.execute(forward, &actor.user).await.map_err(Problem::from);
                results.push(ForwardResult::new(connection, record, ItemResult::of(result, None)));
            }
        }
    }
    let text = |id: RecordId| id.to_string();
    Ok(Json(ConvertedView {
        account: text(account),
        contact: text(contact),
        opportunity: opportunity.map(text),
        ended_shares: shared.len(),
        results,
    }))
}

/// Fields of what a lead becomes, each with the field of the lead that it comes from.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConversionBody {
    /// Fields of the account; without them, the usual ones.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    account: Option<BTreeMap<FieldName, FieldName>>,
    /// Fields of the contact; without them, the usual ones.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    contact: Option<BTreeMap<FieldName, FieldName>>,
    /// Fields of the opportunity; without them, the usual ones.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    opportunity: Option<BTreeMap<FieldName, FieldName>>,
}

/// Shows which fields of a lead become which of the account, contact and opportunity, the usual ones
/// included. Custom fields of the same name go along besides.
#[utoipa::path(get, path = "/v1/conversion", tag = "records", responses((status = 200, body = ConversionBody)))]
pub(crate) async fn show(Extract(api): Extract<Api>, _actor: Actor) -> Result<Json<ConversionBody>, Problem> {
    super::read(&api, |state| {
        let fields = |part| Some(state.conversion.fields(part));
        Ok(ConversionBody {
            account: fields(Part::Account),
            contact: fields(Part::Contact),
            opportunity: fields(Part::Opportunity),
        })
    })
    .await
}

/// Sets which fields of a lead become which of what it becomes; what the body leaves out is as usual.
#[utoipa::path(put, path = "/v1/conversion", tag = "records", request_body = ConversionBody,
    responses((status = 200, body = Done)))]
pub(crate) async fn set(
    Extract(api): Extract<Api>,
    actor: Actor,
    Body(ConversionBody { account, contact, opportunity }): Body<ConversionBody>,
) -> Result<Json<Done>, Problem> {
    let map = ConversionMap { account, contact, opportunity };
    api.change(&actor, Command::Sharing(SharingCommand::SetConversionMap { map })).await
}

/// Lets leads be converted as everywhere again.
#[utoipa::path(delete, path = "/v1/conversion", tag = "records", responses((status = 200, body = Done)))]
pub(crate) async fn reset(Extract(api): Extract<Api>, actor: Actor) -> Result<Json<Done>, Problem> {
    let map = ConversionMap::default();
    api.change(&actor, Command::Sharing(SharingCommand::SetConversionMap { map })).await
}
