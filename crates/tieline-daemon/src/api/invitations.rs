//! Invitations: make one, look at one, answer one (S2S-06 to S2S-10).

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tieline_bus::{ConnectionUrl, SecretHash};
use tieline_core::command::{Command, InvitationCommand, Reply};
use tieline_core::invitation::ReceivedInvitation;
use tieline_core::{ConnectionId, ConnectionTemplateName, UserName};
use utoipa::ToSchema;

use super::Api;
use super::auth::Actor;
use super::once::{Keyed, answer_gone};
use super::problem::{ErrorCode, Problem};
use super::request::Body;
use super::templates;
use crate::clock::now;

/// How long an invitation holds unless somebody says otherwise.
const EXPIRES_IN_S: u32 = 86_400;
/// The shortest and the longest time that an invitation may hold: a minute, thirty days.
const EXPIRES_IN_S_RANGE: std::ops::RangeInclusive<u32> = 60..=2_592_000;

/// An invitation to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewInvitation {
    /// What the connection is called here.
    #[serde(default)]
    label: String,
    /// Seconds until it ends: 60 to 2,592,000; a day if not said.
    #[serde(default = "a_day")]
    expires_in_s: u32,
    /// Who manages the connection here; without one, whoever asks.
    #[schema(value_type = Option<String>)]
    owner: Option<UserName>,
    /// The template that the connection gets as soon as it is active.
    #[schema(value_type = Option<String>)]
    template: Option<ConnectionTemplateName>,
}

pub(crate) const fn a_day() -> u32 {
    EXPIRES_IN_S
}

/// An invitation. The URL is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Invitation {
    /// The connection that it offers.
    connection: String,
    /// To be given to a person of the org that is invited. Whoever holds it can answer once.
    url: String,
    /// When it ends.
    expires: String,
}

/// A connection URL.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UrlOf {
    /// As the inviter gave it.
    url: String,
}

/// What an invitation says, before it is answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvitationDetails {
    /// The connection that it offers.
    connection: String,
    /// The org that invites.
    inviter: String,
    /// The broker over which both would be connected.
    broker: String,
    /// When it ends.
    expires: String,
    /// Whether it has ended.
    expired: bool,
    /// How the connection stands here, if it was answered here before; `postponed` if it is to be decided
    /// on later.
    status: Option<&'static str>,
    /// Whether the inviter was asked, and said that this is its invitation: then the next four are its
    /// own words. An inviter that is away, or of an older version, says nothing.
    verified: bool,
    /// Whether it can be answered now, as the inviter says.
    open: Option<bool>,
    /// Why not: `used`, `revoked` or `expired`.
    closed: Option<String>,
    /// Who sent it.
    sender: Option<String>,
    /// The address of the sender.
    sender_email: Option<String>,
    /// To whom it was addressed.
    contact: Option<String>,
}

/// The answer to an invitation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvitationAnswer {
    /// The connection URL, as the inviter gave it; or the id of an invitation that was postponed here.
    url: String,
    /// Yes or no.
    accept: bool,
    /// Who manages the connection here; without one, whoever answers.
    #[schema(value_type = Option<String>)]
    owner: Option<UserName>,
    /// What the connection is called here.
    #[serde(default)]
    label: String,
    /// The template that the connection gets as soon as it is active.
    #[schema(value_type = Option<String>)]
    template: Option<ConnectionTemplateName>,
}

/// A connection that was answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Answered {
    /// The connection.
    connection: String,
}

fn parse_url(text: &str) -> Result<ConnectionUrl, Problem> {
    text.parse().map_err(|error: tieline_bus::invitation::UrlError| {
        Problem::new(ErrorCode::BadConnectionUrl, error.to_string())
    })
}

pub(crate) fn check_duration(expires_in_s: u32) -> Result<i64, Problem> {
    if EXPIRES_IN_S_RANGE.contains(&expires_in_s) {
        return Ok(i64::from(expires_in_s) * 1_000_000);
    }
    let (least, most) = (EXPIRES_IN_S_RANGE.start(), EXPIRES_IN_S_RANGE.end());
    let detail =
        format!("expires_in_s is {expires_in_s}: an invitation holds from {least} to {most} seconds");
    Err(Problem::new(ErrorCode::BadBody, detail))
}

/// Makes an invitation.
#[utoipa::path(post, path = "/v1/invitations", tag = "invitations", request_body = NewInvitation,
    responses((status = 201, body = Invitation)))]
pub(crate) async fn invite(
    Extract(api): Extract<Api>,
    actor: Actor,
    keyed: Keyed,
    Body(new): Body<NewInvitation>,
) -> Result<(StatusCode, Json<Invitation>), Problem> {
    let expires = now().plus_us(check_duration(new.expires_in_s)?);
    templates::require(&api, new.template.as_ref())?;
    let secret = keyed.secret(&api, &actor)?;
    let secret_hash = *SecretHash::of(&secret).as_bytes();
    let command = Command::Invite { secret_hash, expires, owner: new.owner, label: new.label };
    let executed = api.execute_one(Ok(command), &actor, &keyed).await?;
    let Reply::Connection(connection) = executed.reply else {
        return Err(super::unexpected(&executed.reply));
    };
    // One that was made before ends when it did then, and has its template already.
    let made = api.org.read(|state| {
        let made = state.connections.get(&connection)?;
        Some((*made.secret_hash, made.expires?, made.template.is_some()))
    });
    let (kept, expires, has_template) = made.await.unwrap_or((secret_hash, expires, false));
    if kept != secret_hash {
        return Err(answer_gone("the invitation"));
    }
    if !has_template {
        templates::give_to(&api, &actor, connection, new.template).await?;
    }
    let url = api.org.invite_url(connection, secret, expires);
    let invitation = Invitation { connection: connection.to_string(), url, expires: expires.to_string() };
    Ok((StatusCode::CREATED, Json(invitation)))
}

/// Shows what an invitation says, and asks the inviter who sent it; it changes nothing and uses nothing up.
#[utoipa::path(post, path = "/v1/invitations/inspect", tag = "invitations", request_body = UrlOf,
    responses((status = 200, body = InvitationDetails)))]
pub(crate) async fn inspect(
    Extract(api): Extract<Api>,
    actor: Actor,
    Body(request): Body<UrlOf>,
) -> Result<Json<InvitationDetails>, Problem> {
    let url = parse_url(&request.url)?;
    let looked = api.org.look_at_invitation(&of_url(&url), &actor.user).await;
    super::read(&api, |state| {
        let postponed = state.invitations.postponed.contains_key(&url.connection);
        let known = state.connections.get(&url.connection).map(|connection| connection.status.as_str());
        Ok(InvitationDetails {
            connection: url.connection.to_string(),
            inviter: url.inviter.to_string(),
            broker: url.broker.to_string(),
            expires: url.expires.to_string(),
            expired: url.expires <= now(),
            status: known.or_else(|| postponed.then_some("postponed")),
            verified: looked.is_some(),
            open: looked.as_ref().map(|looked| looked.open),
            closed: looked.as_ref().and_then(|looked| looked.code.clone()),
            sender: looked.as_ref().map(|looked| looked.sender.to_string()),
            sender_email: looked.as_ref().and_then(|looked| looked.sender_email.clone()),
            contact: looked.and_then(|looked| looked.contact),
        })
    })
    .await
}

/// Accepts or declines an invitation. The inviter is told as soon as it can be reached; if it can be now, one
/// that does not hold any more is not accepted.
#[utoipa::path(post, path = "/v1/invitations/answer", tag = "invitations", request_body = InvitationAnswer,
    responses((status = 200, body = Answered)))]
pub(crate) async fn answer(
    Extract(api): Extract<Api>,
    actor: Actor,
    Body(answer): Body<InvitationAnswer>,
) -> Result<Json<Answered>, Problem> {
    let invitation = received(&api, &answer.url).await?;
    if answer.accept {
        check_open(&api, &actor, &invitation).await?;
    }
    let ReceivedInvitation { connection, inviter, public_key, secret_hash, expires } = invitation;
    let InvitationAnswer { accept, owner, label, template, url: _ } = answer;
    let template = template.filter(|_| accept);
    templates::require(&api, template.as_ref())?;
    let command =
        Command::Answer { connection, inviter, public_key, secret_hash, expires, accept, owner, label };
    api.org.execute(command, &actor.user).await?;
    templates::give_to(&api, &actor, connection, template).await?;
    Ok(Json(Answered { connection: connection.to_string() }))
}

/// The invitation of a connection URL, or one that was postponed here by its id.
async fn received(api: &Api, text: &str) -> Result<ReceivedInvitation, Problem> {
    if let Ok(id) = text.trim().parse::<ConnectionId>() {
        let known =
            api.org.read(|state| state.invitations.postponed.get(&id).map(|known| known.invitation.clone()));
        return known.await.ok_or_else(|| {
            let detail = format!("no invitation {id} was postponed here: give its connection URL");
            Problem::new(ErrorCode::UnknownInvitation, detail)
        });
    }
    parse_url(text).map(|url| of_url(&url))
}

fn of_url(url: &ConnectionUrl) -> ReceivedInvitation {
    ReceivedInvitation {
        connection: url.connection,
        inviter: url.inviter.clone(),
        public_key: url.inviter_public_key,
        secret_hash: *url.secret_hash().as_bytes(),
        expires: url.expires,
    }
}

/// Asks the inviter whether an invitation still holds that is to be accepted. One that is away says
/// nothing: then the answer waits for it. Of what was answered here, or is over, the core knows.
async fn check_open(api: &Api, actor: &Actor, invitation: &ReceivedInvitation) -> Result<(), Problem> {
    let ReceivedInvitation { connection, inviter, expires, .. } = invitation;
    let unknown = api.org.read(|state| {
        let own = state.org.as_ref().is_some_and(|org| org.name == *inviter);
        !own && !state.connections.contains_key(connection)
    });
    if *expires <= now() || !unknown.await {
        return Ok(());
    }
    let looked = api.org.look_at_invitation(invitation, &actor.user).await;
    let closed = looked.filter(|looked| !looked.open).and_then(|looked| looked.code);
    let (code, what) = match closed.as_deref() {
        Some("used") => (ErrorCode::Used, "has been used"),
        Some("revoked") => (ErrorCode::Revoked, "was revoked"),
        Some("expired") => (ErrorCode::Expired, "has ended"),
        _ => return Ok(()),
    };
    Err(Problem::new(code, format!("{inviter} says that this invitation {what}: ask it for a new one")))
}

/// Says that an invitation is decided on later: it is not used up, the inviter is told, and it can be
/// answered by its id.
#[utoipa::path(post, path = "/v1/invitations/later", tag = "invitations", request_body = UrlOf,
    responses((status = 200, body = Answered)))]
pub(crate) async fn later(
    Extract(api): Extract<Api>,
    actor: Actor,
    Body(request): Body<UrlOf>,
) -> Result<Json<Answered>, Problem> {
    let invitation = received(&api, &request.url).await?;
    let connection = invitation.connection.to_string();
    let command = Command::Invitation(InvitationCommand::Postpone { invitation });
    api.org.execute(command, &actor.user).await?;
    Ok(Json(Answered { connection }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_holds_from_a_minute_to_thirty_days() {
        for (seconds, ok) in
            [(0, false), (59, false), (60, true), (86_400, true), (2_592_000, true), (2_592_001, false)]
        {
            assert_eq!(check_duration(seconds).is_ok(), ok, "{seconds}");
        }
        let plain: NewInvitation = serde_json::from_str("{}").unwrap();
        assert_eq!(check_duration(plain.expires_in_s).unwrap(), 86_400_000_000);
    }

    #[test]
    fn a_text_that_is_no_url_is_explained() {
        let problem = parse_url("https://example.com").unwrap_err();
        assert_eq!(problem.code, ErrorCode::BadConnectionUrl);
        assert!(problem.detail.contains("tieline://"), "{}", problem.detail);
    }
}
