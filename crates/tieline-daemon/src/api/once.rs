//! Requests that may be sent again: the header `Idempotency-Key`.
//!
//! A client that got no answer sends the request again with the same key, and what was done is not
//! done twice: the key is in the log with what it did. Each command of a request is looked at for
//! itself. One that was refused had no effect, and is decided anew.
//!
//! Requests whose answer holds a secret keep it beside the keys of the org for as long (`secrets`), so that
//! the same answer can be given; those that do not, refuse a key rather than ignore it. Those that set something to what they say (PUT) need none.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use tieline_core::RequestKey;
use tieline_core::command::{Command, Once};
use tieline_core::decide::answer_before;

use super::Shared;
use super::auth::Actor;
use super::problem::{ErrorCode, Problem};
use super::request::unread;
use crate::clock::now;
use crate::org::Executed;

/// The header.
const KEY: &str = "idempotency-key";

/// The key of a request, if it has one, and what was asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keyed(Option<(RequestKey, [u8; 16])>);

impl Keyed {
    /// A secret for the answer of the request: one that it keeps if it has a key.
    pub(super) fn secret(&self, api: &Shared, actor: &Actor) -> Result<[u8; 32], Problem> {
        let Some((key, fingerprint)) = &self.0 else {
            let mut secret = [0; 32];
            return match getrandom::fill(&mut secret) {
                Ok(()) => Ok(secret),
                Err(error) => Err(Problem::internal("drawing a secret", &error)),
            };
        };
        let mut hash = blake3::Hasher::new_derive_key("tieline request secret 1");
        for part in [actor.user.as_str().as_bytes(), key.as_str().as_bytes(), fingerprint] {
            hash.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let mut of = [0; 16];
        hash.finalize_xof().fill(&mut of);
        api.org.request_secret(&of).map_err(|error| Problem::internal("keeping a secret", &error))
    }

    /// Names one command of the request.
    fn item(&self, item: usize) -> Option<Once> {
        let (key, fingerprint) = self.0.as_ref()?;
        let item = u32::try_from(item).unwrap_or(u32::MAX);
        Some(Once { key: key.clone(), fingerprint: *fingerprint, item })
    }
}

impl<S: Sync> FromRequestParts<S> for Keyed {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

fn key(headers: &HeaderMap) -> Result<Option<RequestKey>, Problem> {
    let Some(value) = headers.get(KEY) else { return Ok(None) };
    // An id that does not parse says what one looks like.
    let text = String::from_utf8_lossy(value.as_bytes());
    let key = text.parse().map_err(|error: tieline_core::InvalidId| {
        Problem::new(ErrorCode::BadKey, format!("the header Idempotency-Key: {error}"))
    });
    key.map(Some)
}

/// Reads the key of a request that takes one.
pub(crate) async fn take(request: Request, next: Next) -> Result<Response, Problem> {
    let Some(key) = key(request.headers())? else { return Ok(next.run(request).await) };
    let (mut parts, body) = request.into_parts();
    // The limit of a body is part of the request.
    let bytes = Bytes::from_request(Request::from_parts(parts.clone(), body), &()).await;
    let bytes = bytes.map_err(|rejection| unread(&rejection))?;
    let mut hash = blake3::Hasher::new_derive_key("tieline request 1");
    for part in [parts.method.as_str().as_bytes(), parts.uri.path().as_bytes(), &bytes] {
        hash.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    let mut fingerprint = [0; 16];
    hash.finalize_xof().fill(&mut fingerprint);
    parts.extensions.insert(Keyed(Some((key, fingerprint))));
    Ok(next.run(Request::from_parts(parts, Body::from(bytes))).await)
}

/// Refuses a key where it would be ignored and a second request would have a second effect.
pub(crate) async fn refuse(request: Request, next: Next) -> Result<Response, Problem> {
    if request.method() == Method::POST && key(request.headers())?.is_some() {
        let detail = format!(
            "{} takes no Idempotency-Key: send it without one, and look at what is there before you send it again",
            request.uri().path()
        );
        return Err(Problem::new(ErrorCode::KeyNotTaken, detail));
    }
    Ok(next.run(request).await)
}

/// The answer of a request that was answered before holds a secret that was not kept.
pub(super) fn answer_gone(what: &str) -> Problem {
    let detail =
        format!("the request was done before, and its secret is gone: take {what} back and ask anew");
    Problem::new(ErrorCode::AnswerGone, detail)
}

impl Shared {
    /// Executes the commands of a request, each for itself; those that were refused before stay so,
    /// unless an earlier request with the same key had done them.
    pub(crate) async fn execute_items(
        &self,
        commands: Vec<Result<Command, Problem>>,
        actor: &Actor,
        keyed: &Keyed,
    ) -> Result<Vec<Result<Executed, Problem>>, Problem> {
        let (mut asked, mut once, mut fates) = (Vec::new(), Vec::new(), Vec::new());
        for (item, command) in commands.into_iter().enumerate() {
            fates.push(match command {
                Ok(command) => {
                    asked.push(command);
                    once.extend(keyed.item(item));
                    None
                }
                Err(problem) => Some((keyed.item(item), problem)),
            });
        }
        let mut executed = if asked.is_empty() {
            Vec::new().into_iter()
        } else {
            self.org.execute_once(asked, once, &actor.user).await?.into_iter()
        };
        let mut results = Vec::with_capacity(fates.len());
        for fate in fates {
            match fate {
                None => results.extend(executed.next().map(|result| result.map_err(Problem::from))),
                Some((None, problem)) => results.push(Err(problem)),
                Some((Some(once), problem)) => results.push(self.answered(actor, &once, problem).await),
            }
        }
        Ok(results)
    }

    /// Executes the one command of a request.
    pub(crate) async fn execute_one(
        &self,
        command: Result<Command, Problem>,
        actor: &Actor,
        keyed: &Keyed,
    ) -> Result<Executed, Problem> {
        let done = self.execute_items(vec![command], actor, keyed).await?;
        done.into_iter()
            .next()
            .unwrap_or_else(|| Err(Problem::new(ErrorCode::Internal, "the command was not answered")))
    }

    /// What was answered to a command that does not fit any more, as the deletion of what is gone.
    async fn answered(&self, actor: &Actor, once: &Once, problem: Problem) -> Result<Executed, Problem> {
        let read = self.org.read(|state| {
            let answer = answer_before(state, &actor.user, once, now())?;
            Ok(answer.map(|answer| Executed { seq: answer.seq, reply: answer.reply.clone() }))
        });
        read.await.map_err(|refusal: tieline_core::command::Refusal| Problem::from(refusal))?.ok_or(problem)
    }
}
