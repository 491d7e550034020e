//! The handshake: answering hellos of orgs that we invited, and saying hello to those that invited
//! us until they answer (PROTOCOL §2).

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tieline_bus::SecretHash;
use tieline_bus::bus::Hello;
use tieline_bus::seal::{HandshakeKeys, hello_connection};
use tieline_core::command::{Command, Reply};
use tieline_core::state::{Connection, ConnectionStatus};
use tieline_core::{ConnectionId, Incarnation, OrgName, UserName};
use tokio_util::sync::CancellationToken;

use crate::org::{ExecuteError, OrgHandle};

/// How long one hello waits for its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The first pause between two hellos; it doubles,
const PAUSE: Duration = Duration::from_secs(1);
/// up to this.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What the invited org says, sealed.
#[derive(Debug, Serialize, Deserialize)]
struct HelloSaid {
    accept: bool,
    user: UserName,
    #[serde(with = "serde_bytes")]
    public_key: [u8; 32],
    incarnation: Incarnation,
}

/// What the inviter answers, sealed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WelcomeSaid {
    /// The invitation is used up by this answer.
    Welcome { incarnation: Incarnation, owner: UserName },
    /// It is not, for a reason with a stable code.
    Refused { code: String },
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
    let command = Command::TakeHello {
        connection: id,
        from: hello.from.clone(),
        accept: said.accept,
        user: said.user,
        public_key: said.public_key,
        incarnation: said.incarnation,
    };
    let executed = org.execute(command, &UserName::connection_user()).await;
    let own = org.peek(|state| state.org.as_ref().map(|org| org.incarnation)).unwrap_or_default();
    let answer = match executed {
        Ok(executed) => match executed.reply {
            Reply::Welcome { owner } => WelcomeSaid::Welcome { incarnation: own, owner },
            _ => return,
        },
        Err(ExecuteError::Refused(refusal)) => {
            tracing::info!(connection = %id, from = %hello.from, code = refusal.code, "a hello was refused");
            WelcomeSaid::Refused { code: refusal.code.to_owned() }
        }
        // The invited org says hello again.
        Err(_) => return,
    };
    let Ok(said) = rmp_serde::to_vec_named(&answer) else { return };
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
    loop {
        let unconfirmed = org.peek(|state| {
            let waiting = state.connections.values().filter(|connection| is_unconfirmed(connection));
            waiting.map(|connection| connection.id).collect::<Vec<_>>()
        });
        pauses.retain(|id, _| unconfirmed.contains(id));
        let start = tokio::time::Instant::now();
        for id in &unconfirmed {
            let (due, pause) = pauses.entry(*id).or_insert((start, PAUSE));
            if *due <= start {
                say_hello(&org, *id).await;
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
        let said = HelloSaid {
            accept: connection.answer?,
            user: connection.owner.clone(),
            public_key: org.shared.keys.x25519_public(),
            incarnation: own.incarnation,
        };
        Some((own.name.clone(), connection.partner.clone()?, *connection.secret_hash, said))
    });
    let Some((own, inviter, secret_hash, said)) = parts.await else { return };
    let keys = HandshakeKeys::derive(&SecretHash::from_bytes(secret_hash), id, &inviter, &own);
    let accepted = said.accept;
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
    };
    if let Err(error) = org.execute(command, &UserName::connection_user()).await {
        tracing::warn!(connection = %id, %error, "the inviter's answer could not be logged");
    }
}
