//! Requests that may be sent again: what was answered is answered again, without a second effect.

use crate::command::{Once, Refusal, Reply};
use crate::event::{Event, RequestAnswered};
use crate::state::{Answer, State};
use crate::{Timestamp, UserName};

/// What was answered before to this command of this user; nothing if it was not done yet.
///
/// # Errors
/// The key was used for something else.
pub fn answer_before<'a>(
    state: &'a State,
    user: &UserName,
    once: &Once,
    now: Timestamp,
) -> Result<Option<&'a Answer>, Refusal> {
    let Some(request) = state.requests.get(user, &once.key, now) else { return Ok(None) };
    if *request.fingerprint != once.fingerprint {
        let message = format!(
            "the idempotency key {} was used for another request less than a day ago: give each request its own key",
            once.key
        );
        return Err(Refusal::invalid("key_reused", message));
    }
    Ok(request.answers.get(&once.item))
}

/// The fact that a command was done, which keeps its answer.
pub(crate) fn answered(user: &UserName, once: &Once, reply: &Reply) -> Event {
    let (user, key, reply) = (user.clone(), once.key.clone(), reply.clone());
    RequestAnswered { user, key, fingerprint: once.fingerprint.into(), item: once.item, reply }.into()
}
