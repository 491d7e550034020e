//! The accounts of accepted contacts and opportunities: the rule, and what it would do (S2S-49).

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json_};
use tieline_core::account::{AccountPlan, AccountRule, reference as account_reference};
use tieline_core::command::{Command, SharingCommand};
use tieline_core::decide::answering;
use tieline_core::reference::target;
use tieline_core::state::{Connection, Share, State};
use tieline_core::{FieldName, ObjectName, ShareId};
use utoipa::ToSchema;

use super::auth::Actor;
use super::batch::check_count;
use super::problem::{ErrorCode, Problem};
use super::request::{Body, Route};
use super::values::values_json;
use super::{Api, Done, select};

/// How the account of an accepted record is found or made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountRuleBody {
    /// Fields of this org's accounts, and the partner's fields that they come from; without them, name and
    /// billing city, state and country.
    #[serde(default = "usual_fields")]
    #[schema(value_type = BTreeMap<String, String>)]
    fields: BTreeMap<FieldName, FieldName>,
    /// The fields of an account that have to be the same, without regard to case, spaces and punctuation;
    /// without them, the name.
    #[serde(default = "usual_keys")]
    #[schema(value_type = Vec<String>)]
    match_on: Vec<FieldName>,
    /// Whether an account is made if none matches.
    #[serde(default = "yes")]
    create: bool,
}

fn usual_fields() -> BTreeMap<FieldName, FieldName> {
    AccountRule::default().fields
}

fn usual_keys() -> Vec<FieldName> {
    AccountRule::default().match_on
}

const fn yes() -> bool {
    true
}

/// Offers that are looked at before they are accepted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewBody {
    /// Of which connection: id, partner or label.
    connection: String,
    /// The offers; at most 1,000.
    #[schema(value_type = Vec<String>)]
    shares: Vec<ShareId>,
}

/// What accepting would do with accounts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Previews {
    /// One entry for each offer.
    previews: Vec<AccountPreview>,
}

/// What accepting an offer would do with its account, as far as what was offered tells.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountPreview {
    /// The share.
    share: String,
    /// `shared` if the account itself is shared over the connection and is here: then it is linked. Else
    /// `match`, `create`, `leave` if none matches and none is made, `unnamed` if the offer names no
    /// account, or `no_rule`.
    account: &'static str,
    /// Whether the account itself is shared over the connection. One that waits to be accepted is linked once
    /// it is; accept it first, and nothing is matched or made.
    shared: bool,
    /// The account that matches.
    record: Option<String>,
    /// Its name, or that of the one that is made.
    name: Option<String>,
    /// How many match: the oldest is taken.
    found: usize,
    /// The values that an account is made with.
    #[schema(value_type = Object)]
    values: Map<String, Json_>,
}

fn found<'a>(
    state: &'a State,
    selector: &str,
    remote: &ObjectName,
) -> Result<(&'a Connection, &'a AccountRule), Problem> {
    let connection = select::connection(state, selector)?;
    let rule = connection.accounts.get(remote).ok_or_else(|| {
        let detail = format!("accounts of {remote} of {} are not looked for", connection.display_name());
        Problem::new(ErrorCode::UnknownRule, detail)
    })?;
    Ok((connection, rule))
}

/// Shows how the accounts of a partner's object are found or made.
#[utoipa::path(get, path = "/v1/connections/{c}/subscribe/{remote}/account", tag = "subscribe",
    params(("c" = String, Path, description = "Id, partner or label."),
        ("remote" = String, Path, description = "The partner's object.")),
    responses((status = 200, body = AccountRuleBody)))]
pub(crate) async fn show(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Route((selector, remote)): Route<(String, ObjectName)>,
) -> Result<Json<AccountRuleBody>, Problem> {
    super::read(&api, |state| {
        let AccountRule { fields, match_on, create } = found(state, &selector, &remote)?.1.clone();
        Ok(AccountRuleBody { fields, match_on, create })
    })
    .await
}

/// Sets how the accounts of a partner's object are found or made when its records are accepted.
#[utoipa::path(put, path = "/v1/connections/{c}/subscribe/{remote}/account", tag = "subscribe",
    request_body = AccountRuleBody,
    params(("c" = String, Path, description = "Id, partner or label."),
        ("remote" = String, Path, description = "The partner's object.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn set(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route((selector, object)): Route<(String, ObjectName)>,
    Body(AccountRuleBody { fields, match_on, create }): Body<AccountRuleBody>,
) -> Result<Json<Done>, Problem> {
    let connection = api.connection_id(&selector)?;
    let rule = Some(AccountRule { fields, match_on, create });
    api.change(&actor, Command::Sharing(SharingCommand::SetAccountRule { connection, object, rule })).await
}

/// Leaves the accounts of a partner's object alone.
#[utoipa::path(delete, path = "/v1/connections/{c}/subscribe/{remote}/account", tag = "subscribe",
    params(("c" = String, Path, description = "Id, partner or label."),
        ("remote" = String, Path, description = "The partner's object.")),
    responses((status = 200, body = Done)))]
pub(crate) async fn remove(
    Extract(api): Extract<Api>,
    actor: Actor,
    Route((selector, object)): Route<(String, ObjectName)>,
) -> Result<Json<Done>, Problem> {
    let connection = api.connection_id(&selector)?;
    let rule = None;
    api.change(&actor, Command::Sharing(SharingCommand::SetAccountRule { connection, object, rule })).await
}

/// The share of the account of an offer, if the partner shares that, too.
fn shared_account<'a>(state: &State, connection: &'a Connection, share: &Share) -> Option<&'a Share> {
    let rule = connection.subscribe.get(&share.object)?;
    let reference = account_reference(state.object(&rule.local)?)?;
    let remote = rule.mapping_of(&reference)?.remote()?;
    let kept = share.kept.as_ref().and_then(|kept| target(kept.values.get(remote)?));
    let linked = || share.links.iter().flat_map(|links| links.iter()).find(|link| link.field == *remote);
    let account = connection.shares.get(&kept.or_else(|| Some(linked()?.share))?)?;
    let here = account.record.is_none_or(|record| state.record(record).is_some());
    (account.is_open() && here).then_some(account)
}

fn preview(state: &State, connection: &Connection, id: ShareId) -> AccountPreview {
    let none = |account| AccountPreview {
        share: id.to_string(),
        account,
        shared: false,
        record: None,
        name: None,
        found: 0,
        values: Map::new(),
    };
    let Some(share) = connection.shares.get(&id) else { return none("unnamed") };
    let text = |value: Json_| value.as_str().map(str::to_owned);
    let name_of = |account| {
        let record = state.record(account)?;
        text(record.value(&state.object(&record.object)?.name_field).to_json())
    };
    let shared = shared_account(state, connection, share);
    if let Some(account) = shared.and_then(|account| account.record) {
        let (record, name) = (Some(account.to_string()), name_of(account));
        return AccountPreview { shared: true, record, name, found: 1, ..none("shared") };
    }
    let none = |account| AccountPreview { shared: shared.is_some(), ..none(account) };
    let Some(rule) = connection.accounts.get(&share.object) else { return none("no_rule") };
    // What was granted and waits is newer than what was offered.
    let kept = share.kept.as_deref();
    let came = |remote: &FieldName| {
        let kept = kept.and_then(|kept| kept.values.get(remote));
        kept.or_else(|| share.preview.get(remote)).cloned()
    };
    match rule.plan(state, came) {
        AccountPlan::Match { account, found } => {
            let (record, name) = (Some(account.to_string()), name_of(account));
            AccountPreview { record, name, found, ..none("match") }
        }
        AccountPlan::Create(values) => {
            let values = values_json(&values);
            AccountPreview { name: values.get("Name").cloned().and_then(text), values, ..none("create") }
        }
        AccountPlan::Leave => none("leave"),
        AccountPlan::Unnamed => none("unnamed"),
    }
}

/// Shows which accounts would be matched or made if offers were accepted now.
#[utoipa::path(post, path = "/v1/inbox/preview", tag = "inbox", request_body = PreviewBody,
    responses((status = 200, body = Previews)))]
pub(crate) async fn preview_offers(
    Extract(api): Extract<Api>,
    actor: Actor,
    Body(PreviewBody { connection, shares }): Body<PreviewBody>,
) -> Result<Json<Previews>, Problem> {
    check_count("shares", shares.len())?;
    super::read(&api, |state| {
        let connection = select::connection(state, &connection)?;
        let reading = actor.reading(state);
        let mut previews = Vec::new();
        for id in shares {
            if let Some(share) = connection.shares.get(&id) {
                reading.require(answering(connection, share))?;
            }
            previews.push(preview(state, connection, id));
        }
        Ok(Previews { previews })
    })
    .await
}
