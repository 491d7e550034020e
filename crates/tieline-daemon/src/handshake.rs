//! The handshake: answering hellos of orgs that we invited, and saying hello to those that invited
//! us until they answer (PROTOCOL §2).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tieline_bus::SecretHash;
use tieline_bus::bus::Hello;
use tieline_bus::seal::{HandshakeKeys, hello_connection};
use tieline_core::command::{Command, InvitationCommand, Reply};
use tieline_core::invitation::ReceivedInvitation;
use tieline_core::state::{Connection, ConnectionStatus, Org, Side, State};
use tieline_core::{ConnectionId, Incarnation, OrgName, UserName};
use tokio_util::sync::CancellationToken;

use crate::clock::now;
use crate::org::{ExecuteError, OrgHandle};

/// How long one hello waits for its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The first pause between two hellos; it doubles,
const PAUSE: Duration = Duration::from_secs(1);
/// up to this.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What the invited org says, sealed. An inviter of an older version does not understand what has no
/// answer in it, and so cannot take a question for one.
#[derive(Debug, Serialize, Deserialize)]
struct HelloSaid {
    /// The answer; nothing if it only asks or tells something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accept: Option<bool>,
    user: UserName,
    #[serde(with = "serde_bytes")]
    public_key: [u8; 32],
    incarnation: Incarnation,
    /// Who answered, if it is not the one who manages the connection there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<UserName>,
    /// What it asks or tells, if it is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    word: Option<Word>,
}

/// What an invited org says that uses nothing up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    /// Who are you, and does the invitation hold?
    Look,
    /// We decide later.
    Later,
}

/// What an inviter tells of its invitation before it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Looked {
    /// Whether it can be answered now.
    pub(crate) open: bool,
    /// Why not, as a stable code: `used`, `revoked` or `expired`.
    #[serde(default)]
    pub(crate) code: Option<String>,
    /// Who sent it.
    pub(crate) sender: UserName,
    /// The address of the sender, if the org knows one.
    #[serde(default)]
    pub(crate) sender_email: Option<String>,
    /// To whom it was addressed.
    #[serde(default)]
    pub(crate) contact: Option<String>,
}

/// What the inviter answers, sealed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WelcomeSaid {
    /// The invitation is used up by this answer.
    Welcome { incarnation: Incarnation, owner: UserName },
    /// It is not, for a reason with a stable code.
    Refused { code: String },
    /// What was told is noted, and nothing is used up.
    Noted {},
    /// What was asked about.
    Shown(Looked),
}

/// Answers the hellos of invited orgs for as long as the daemon runs.
pub(crate) async fn answer_hellos(org: OrgHandle, stop: CancellationToken) {
    let mut status = org.shared.bus.status();
    loop {
        match org.shared.bus.hellos().await {
            Ok(mut hellos) => {
                while let Some(hello) = tokio::select! {
                    () = stop.cancelled() => None,
                    next = hellos.next() => next,
                } {
                    answer(&org, hello).await;
                }
            }
            Err(error) => tracing::debug!(%error, "hellos cannot be heard yet"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = status.changed() => if changed.is_err() { return },
        }
    }
}

/// A hello that does not open is not answered: whoever cannot seal learns nothing.
async fn answer(org: &OrgHandle, hello: Hello) {
    let opened = open(org, &hello);
    let Some((id, keys, said)) = opened else {
        tracing::warn!(from = %hello.from, "a hello was refused: it is of no invitation of this org, or not sealed by it");
        return;
    };
    let command = match (said.accept, said.word) {
        (Some(accept), _) => Command::TakeHello {
            connection: id,
            from: hello.from.clone(),
            accept,
            user: said.user,
            public_key: said.public_key,
            incarnation: said.incarnation,
            by: said.by,
        },
        (None, Some(Word::Later)) => Command::Invitation(InvitationCommand::TakePostponement {
            connection: id,
            from: hello.from.clone(),
            user: said.by.unwrap_or(said.user),
        }),
        (None, Some(Word::Look)) => {
            let from = hello.from.clone();
            let Some(looked) = org.read(move |state| look(state, id, &from)).await else { return };
            return reply(id, &keys, hello, &WelcomeSaid::Shown(looked)).await;
        }
        (None, None) => return,
    };
    let executed = org.execute(command, &UserName::connection_user()).await;
    let own = org.peek(|state| state.org.as_ref().map(|org| org.incarnation)).unwrap_or_default();
    let answer = match executed {
        Ok(executed) => match executed.reply {
            Reply::Welcome { owner } => WelcomeSaid::Welcome { incarnation: own, owner },
            Reply::Done | Reply::Unchanged => WelcomeSaid::Noted {},
            _ => return,
        },
        Err(ExecuteError::Refused(refusal)) => {
            tracing::info!(connection = %id, from = %hello.from, code = refusal.code, "a hello was refused");
            WelcomeSaid::Refused { code: refusal.code.to_owned() }
        }
        // The invited org says hello again.
        Err(_) => return,
    };
    reply(id, &keys, hello, &answer).await;
}

/// What the invited org may see of its invitation before it answers.
fn look(state: &State, id: ConnectionId, from: &OrgName) -> Option<Looked> {
    let connection = state.connections.get(&id).filter(|connection| connection.side == Side::Inviter)?;
    let code = match connection.status {
        ConnectionStatus::Pending if connection.expires.is_some_and(|expires| expires <= now()) => {
            Some("expired")
        }
        ConnectionStatus::Pending => None,
        ConnectionStatus::Revoked => Some("revoked"),
        _ => Some("used"),
    };
    // Whoever holds an old URL learns no more than that it is old, but for the partner itself.
    let known = code.is_none() || connection.partner.as_ref() == Some(from);
    Some(Looked {
        open: code.is_none(),
        code: code.map(ToOwned::to_owned),
        sender: connection.owner.clone(),
        sender_email: state
            .users
            .get(&connection.owner)
            .and_then(|user| user.email.clone())
            .filter(|_| known),
        contact: connection.contact.as_ref().map(|contact| contact.name.clone()).filter(|_| known),
    })
}

async fn reply(id: ConnectionId, keys: &HandshakeKeys, hello: Hello, answer: &WelcomeSaid) {
    let Ok(said) = rmp_serde::to_vec_named(answer) else { return };
    match keys.seal_welcome(&said) {
        Ok(sealed) => {
            if let Err(error) = hello.reply(Bytes::from(sealed)).await {
                tracing::debug!(connection = %id, %error, "the answer to a hello did not leave");
            }
        }
        Err(error) => tracing::error!(connection = %id, %error, "the answer to a hello could not be sealed"),
    }
}

fn open(org: &OrgHandle, hello: &Hello) -> Option<(ConnectionId, HandshakeKeys, HelloSaid)> {
    let id = hello_connection(&hello.bytes).ok()?;
    let (own, secret_hash) = org.peek(|state| {
        let connection = state.connections.get(&id)?;
        Some((state.org.as_ref()?.name.clone(), *connection.secret_hash))
    })?;
    let keys = HandshakeKeys::derive(&SecretHash::from_bytes(secret_hash), id, &own, &hello.from);
    let said = keys.open_hello(&hello.bytes).ok()?;
    Some((id, keys, rmp_serde::from_slice(&said).ok()?))
}

/// Says hello for every answer that its inviter has not confirmed.
pub(crate) async fn say_hellos(org: OrgHandle, stop: CancellationToken) {
    let mut pauses: BTreeMap<ConnectionId, (tokio::time::Instant, Duration)> = BTreeMap::new();
    // Inviters that know that we decide later; they hear it once more after a restart.
    let mut told: BTreeSet<ConnectionId> = BTreeSet::new();
    loop {
        let unconfirmed = org.peek(|state| {
            let waiting = state.connections.values().filter(|connection| is_unconfirmed(connection));
            let postponed = state.invitations.postponed.iter();
            let untold = postponed.filter(|(id, p)| p.invitation.expires > now() && !told.contains(id));
            let untold = untold.map(|(id, _)| *id);
            waiting.map(|connection| connection.id).chain(untold).collect::<Vec<_>>()
        });
        pauses.retain(|id, _| unconfirmed.contains(id));
        let start = tokio::time::Instant::now();
        for id in &unconfirmed {
            let (due, pause) = pauses.entry(*id).or_insert((start, PAUSE));
            if *due <= start {
                if org.peek(|state| state.invitations.postponed.contains_key(id)) {
                    if say_later(&org, *id).await {
                        told.insert(*id);
                        continue;
                    }
                } else {
                    say_hello(&org, *id).await;
                }
                *due = tokio::time::Instant::now() + *pause;
                *pause = (*pause * 2).min(PAUSE_MAX);
            }
        }
        let next = pauses.values().map(|(due, _)| *due).min();
        let sleep = async {
            match next {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = org.shared.hellos.notified() => {}
            () = sleep => {}
        }
    }
}

fn is_unconfirmed(connection: &Connection) -> bool {
    match connection.answer {
        Some(true) => connection.status == ConnectionStatus::Pending,
        Some(false) => connection.answered.is_none(),
        None => false,
    }
}

async fn say_hello(org: &OrgHandle, id: ConnectionId) {
    let parts = org.read(|state| {
        let connection = state.connections.get(&id)?;
        let own = state.org.as_ref()?;
        let accept = Some(connection.answer?);
        let by = connection.answered_by.clone().filter(|by| *by != connection.owner);
        let said = HelloSaid { accept, by, ..said_by(org, own, &connection.owner) };
        Some((own.name.clone(), connection.partner.clone()?, *connection.secret_hash, said))
    });
    let Some((own, inviter, secret_hash, said)) = parts.await else { return };
    let keys = HandshakeKeys::derive(&SecretHash::from_bytes(secret_hash), id, &inviter, &own);
    let accepted = said.accept == Some(true);
    match ask(org, &inviter, &keys, &said).await {
        Some(answer) => take_answer(org, id, accepted, answer).await,
        None => tracing::debug!(connection = %id, %inviter, "the inviter has not answered yet"),
    }
}

async fn ask(
    org: &OrgHandle,
    inviter: &OrgName,
    keys: &HandshakeKeys,
    said: &HelloSaid,
) -> Option<WelcomeSaid> {
    let sealed = keys.seal_hello(&rmp_serde::to_vec_named(said).ok()?).ok()?;
    let reply = org.shared.bus.hello(inviter, Bytes::from(sealed), ANSWER_WITHIN).await.ok()?;
    let opened = keys.open_welcome(&reply).ok()?;
    rmp_serde::from_slice(&opened).ok()
}

async fn take_answer(org: &OrgHandle, id: ConnectionId, accepted: bool, answer: WelcomeSaid) {
    let command = match answer {
        WelcomeSaid::Welcome { incarnation, owner } if accepted => {
            Command::TakeWelcome { connection: id, incarnation, owner: Some(owner) }
        }
        WelcomeSaid::Welcome { .. } => Command::TakeRefusal { connection: id, code: "declined".to_owned() },
        WelcomeSaid::Refused { code } => {
            tracing::warn!(connection = %id, %code, "the inviter refused our answer");
            Command::TakeRefusal { connection: id, code }
        }
        // No answer to an answer.
        WelcomeSaid::Noted {} | WelcomeSaid::Shown(_) => return,
    };
    if let Err(error) = org.execute(command, &UserName::connection_user()).await {
        tracing::warn!(connection = %id, %error, "the inviter's answer could not be logged");
    }
}

/// What every word of this org begins with.
fn said_by(org: &OrgHandle, own: &Org, user: &UserName) -> HelloSaid {
    HelloSaid {
        accept: None,
        user: user.clone(),
        public_key: org.shared.keys.x25519_public(),
        incarnation: own.incarnation,
        by: None,
        word: None,
    }
}

/// Tells an inviter that its invitation is decided on later; whether it knows, or will not hear it.
async fn say_later(org: &OrgHandle, id: ConnectionId) -> bool {
    let parts = org.read(|state| {
        let postponed = state.invitations.postponed.get(&id)?;
        let own = state.org.as_ref()?;
        let said = HelloSaid { word: Some(Word::Later), ..said_by(org, own, &postponed.actor) };
        Some((own.name.clone(), postponed.invitation.inviter.clone(), postponed.invitation.secret_hash, said))
    });
    let Some((own, inviter, secret_hash, said)) = parts.await else { return true };
    let keys = HandshakeKeys::derive(&SecretHash::from_bytes(secret_hash), id, &inviter, &own);
    match ask(org, &inviter, &keys, &said).await {
        Some(WelcomeSaid::Noted {}) => true,
        Some(WelcomeSaid::Refused { code }) => {
            tracing::warn!(connection = %id, %code, "the invitation that was postponed does not hold any more");
            true
        }
        _ => false,
    }
}

impl OrgHandle {
    /// Asks the inviter about its invitation: who sent it, and whether it holds. Nothing if it does not
    /// answer: it is away, does not know the invitation, or is of an older version.
    pub(crate) async fn look_at_invitation(
        &self,
        invitation: &ReceivedInvitation,
        user: &UserName,
    ) -> Option<Looked> {
        let ReceivedInvitation { connection, inviter, secret_hash, .. } = invitation;
        let parts = self.read(|state| {
            let own = state.org.as_ref()?;
            Some((own.name.clone(), HelloSaid { word: Some(Word::Look), ..said_by(self, own, user) }))
        });
        let (own, said) = parts.await?;
        let keys = HandshakeKeys::derive(&SecretHash::from_bytes(*secret_hash), *connection, inviter, &own);
        match ask(self, inviter, &keys, &said).await {
            Some(WelcomeSaid::Shown(looked)) => Some(looked),
            _ => None,
        }
    }
}
