//! The org itself: its part in sharing, its edition and its connection licences.

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use tieline_core::command::{Command, ProfileCommand};
use tieline_core::people::{Edition, Licences};
use tieline_core::state::{Org, State};
use utoipa::ToSchema;

use super::auth::Actor;
use super::problem::{ErrorCode, Problem};
use super::request::Body;
use super::{Api, Done};
use crate::clock::now;

/// The org.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrgView {
    /// Its name.
    name: String,
    /// Its edition: `personal` takes no part in sharing; `professional`, `enterprise` and `unlimited`
    /// may send invitations; every other may accept them.
    edition: &'static str,
    /// The company that it belongs to, if it says so; partners are told.
    company: Option<String>,
    /// Whether sharing was enabled; once it was, it stays so.
    sharing_enabled: bool,
    /// Its connection licences.
    connection_licences: LicencesView,
}

/// Connection licences: invitations that this org sent take one each while they are pending or
/// accepted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LicencesView {
    /// How many there are.
    max: u32,
    /// How many are taken.
    used: u32,
}

/// What is to be changed of the org; what is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrgChange {
    /// Its edition: `personal`, `group`, `team`, `professional`, `enterprise`, `unlimited`,
    /// `developer`, `trial` or `demo`.
    #[schema(value_type = Option<String>)]
    edition: Option<Edition>,
    /// How many connection licences it has; at most 100,000.
    connection_licences: Option<u32>,
    /// The company that it belongs to; an empty text takes it away.
    company: Option<String>,
}

impl From<Licences> for LicencesView {
    fn from(Licences { max, used }: Licences) -> Self {
        Self { max, used }
    }
}

fn org(state: &State) -> Result<&Org, Problem> {
    state.org.as_ref().ok_or_else(|| Problem::new(ErrorCode::NoOrg, "this log has no org yet"))
}

/// Shows the org: edition, sharing, licences.
#[utoipa::path(get, path = "/v1/org", tag = "org", responses((status = 200, body = OrgView)))]
pub(crate) async fn show(Extract(api): Extract<Api>, _actor: Actor) -> Result<Json<OrgView>, Problem> {
    super::read(&api, |state| {
        let org = org(state)?;
        Ok(OrgView {
            name: org.name.to_string(),
            edition: org.settings.edition.as_str(),
            company: org.company.clone(),
            sharing_enabled: state.sharing_enabled(),
            connection_licences: state.licences(now()).into(),
        })
    })
    .await
}

/// Changes edition and connection licences.
#[utoipa::path(patch, path = "/v1/org", tag = "org", request_body = OrgChange,
    responses((status = 200, body = Done)))]
pub(crate) async fn change(
    Extract(api): Extract<Api>,
    actor: Actor,
    Body(change): Body<OrgChange>,
) -> Result<Json<Done>, Problem> {
    let _defining = api.defining.lock().await;
    let mut settings = api.org.peek(|state| org(state).map(|org| org.settings))?;
    settings.edition = change.edition.unwrap_or(settings.edition);
    settings.connection_licences = change.connection_licences.or(settings.connection_licences);
    let mut commands = vec![Command::SetOrg { settings }];
    commands.extend(change.company.map(|company| Command::Profile(ProfileCommand::SetCompany { company })));
    let mut done = Done { seq: 0, changed: false };
    for command in commands {
        let Json(one) = api.change(&actor, command).await?;
        done = Done { seq: one.seq, changed: done.changed || one.changed };
    }
    Ok(Json(done))
}

/// Enables sharing, for good; without it, no invitation is sent or answered (S2S-01).
#[utoipa::path(post, path = "/v1/org/enable", tag = "org", responses((status = 200, body = Done)))]
pub(crate) async fn enable(Extract(api): Extract<Api>, actor: Actor) -> Result<Json<Done>, Problem> {
    api.change(&actor, Command::EnableSharing).await
}
