//! Looks at the state and a command and says which events happen, or refuses.
//!
//! Deciding changes nothing: the same state, command and context give the same events. A refusal
//! leaves nothing behind. What a command needs of whoever asks is said in one table, `permit`.

mod account;
mod adopt;
mod approval;
mod automation;
mod compute;
mod config;
mod connection;
mod control;
mod convert;
mod copy;
mod draft;
mod effect;
mod fields;
mod follow;
mod handover;
mod inquiry;
mod invitation;
mod jobs;
mod key;
mod links;
mod notice;
mod org;
mod owner;
mod pause;
mod people;
mod permit;
mod profile;
mod receive;
mod reconcile;
mod record;
mod removal;
mod report;
mod request;
mod roles;
mod rules;
mod settle;
mod share;
mod sharing;
mod task;
mod template;
mod view;
mod write;

use crate::apply::apply;
use crate::command::{Command, Context, Handover, Pause, Refusal, Reply, ReportChange};
use crate::event::Event;
use crate::frame::{Chain, FrameHeader};
use crate::message::Envelope;
use crate::sharing::Forwarding;
use crate::state::State;
use crate::{ConnectionId, Position};

pub(crate) use automation::rule_trouble;
pub use automation::{Run, is_escalation_due, meets_now};
use draft::Draft;
pub use invitation::{
    common_fields, contact_object, contact_of, invitation_fields, is_invited, label_of, template_of,
};
pub use key::is_weak;
pub(crate) use owner::would_own;
pub use permit::{answering, require};
pub(crate) use record::object as known_object;
pub use request::answer_before;
pub(crate) use request::answered;

/// The events of a command, and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What happens; empty if nothing has to.
    pub events: Vec<Event>,
    /// What is answered.
    pub reply: Reply,
}

/// Decides a command.
///
/// # Errors
/// The command is refused, with its reasons; then nothing happens.
pub fn decide(state: &State, command: &Command, context: &Context) -> Result<Decision, Refusal> {
    if state.org.is_none() && !matches!(command, Command::CreateOrg { .. }) {
        return Err(Refusal::conflict("no_org", "this log has no org yet: make one with `tieline init`"));
    }
    if let Command::Config(command) = command {
        return config::route(state, command, context);
    }
    permit::check(state, &context.actor, command)?;
    let mut draft = Draft::new(state, context);
    let reply = route(&mut draft, command)?;
    Ok(Decision { events: draft.finish(), reply })
}

fn route(draft: &mut Draft<'_>, command: &Command) -> Result<Reply, Refusal> {
    match command {
        Command::CreateOrg { name, admin, token, objects, settings, sharing } => {
            org::create(draft, name, admin, token, objects, *settings, *sharing)
        }
        Command::EnableSharing => org::enable_sharing(draft),
        Command::SetOrg { settings } => org::set(draft, *settings),
        Command::AddUser { user, email, role } => people::add_user(draft, user, email.as_deref(), role),
        Command::ChangeUser { user, email, role, active } => {
            people::change_user(draft, user, email.as_deref(), role.as_ref(), *active)
        }
        Command::RemoveUser { user } => removal::user(draft, user),
        Command::SetRole { role } => roles::set(draft, role),
        Command::RemoveRole { role } => removal::role(draft, role),
        Command::SetGroup { group } => people::set_group(draft, group),
        Command::RemoveGroup { group } => removal::group(draft, group),
        Command::IssueToken { user, token } => people::issue_token(draft, user, token),
        Command::RevokeToken { user, token } => people::revoke_token(draft, user, *token),
        Command::StartIncarnation { cause, connection, above } => {
            reconcile::start_incarnation(draft, *cause, *connection, *above)
        }
        Command::DefineObject { schema } => org::define_object(draft, schema),
        Command::RemoveObject { object } => removal::object(draft, object),

        Command::Report(ReportChange::Set { report }) => report::set(draft, report),
        Command::Report(ReportChange::Remove { report }) => report::remove(draft, report),

        Command::Invite { secret_hash, expires, owner, label } => {
            connection::invite(draft, *secret_hash, *expires, owner.as_ref(), label)
        }
        Command::Revoke { connection } => connection::revoke(draft, *connection),
        Command::Answer { connection, inviter, public_key, secret_hash, expires, accept, owner, label } => {
            let answer = connection::Answer {
                connection: *connection,
                inviter,
                public_key: *public_key,
                secret_hash: *secret_hash,
                expires: *expires,
                accept: *accept,
                owner: owner.as_ref(),
                label,
            };
            connection::answer(draft, &answer)
        }
        Command::TakeHello { connection, from, accept, user, public_key, incarnation, by } => {
            let hello = connection::Hello {
                from,
                accept: *accept,
                user,
                public_key,
                incarnation: *incarnation,
                by: by.as_ref(),
            };
            connection::take_hello(draft, *connection, &hello)
        }
        Command::TakeWelcome { connection, incarnation, owner } => {
            connection::take_welcome(draft, *connection, *incarnation, owner.as_ref())
        }
        Command::TakeRefusal { connection, code } => connection::take_refusal(draft, *connection, code),
        Command::Deactivate { connection, by_partner } => {
            connection::deactivate(draft, *connection, *by_partner)
        }
        Command::Resume { connection } => connection::resume(draft, *connection),
        Command::TakeIncarnation { connection, incarnation } => {
            reconcile::take_incarnation(draft, *connection, *incarnation)
        }
        Command::NoteReceipt { connection, position } => {
            connection::note_receipt(draft, *connection, *position)
        }
        Command::Reconcile { connection } => reconcile::ask(draft, *connection),
        Command::AnnounceKey { connection, key } => key::announce(draft, *connection, *key),
        Command::ConfirmKey { connection, key } => key::confirm(draft, *connection, *key),

        Command::Handover(Handover::Connection { connection, owner }) => {
            handover::connection(draft, *connection, owner)
        }
        Command::Pause(Pause::Set { connection, object, paused }) => {
            pause::set(draft, *connection, object.as_ref(), *paused)
        }
        Command::Pause(Pause::Heard { connection, word }) => pause::heard(draft, *connection, word),

        Command::Publish { connection, object, rule } => {
            rules::publish(draft, *connection, object, rule.as_ref())
        }
        Command::Subscribe { connection, object, rule } => {
            rules::subscribe(draft, *connection, object, rule.as_ref())
        }

        Command::CreateRecord { object, values, owner } => {
            record::create(draft, object, values, owner.as_ref())
        }
        Command::UpdateRecord { record, values } => record::update(draft, *record, values),
        Command::DeleteRecord { record } => record::delete(draft, *record),
        Command::Retry { connection, share } => control::retry(draft, *connection, *share),

        Command::Forward { record, connection } => {
            share::forward_by_hand(draft, *record, *connection, Forwarding::default())
        }
        Command::EndShare { record, connection, reason } => share::end(draft, *record, *connection, *reason),
        Command::Accept { connection, share, owner } => {
            share::accept(draft, *connection, *share, owner.as_ref(), None)
        }
        Command::Adopt { connection, share, record } => adopt::adopt(draft, *connection, *share, *record),
        Command::Decline { connection, share } => share::decline(draft, *connection, *share),

        Command::Automation(command) => automation::decide(draft, command),
        // What it is made of is decided command by command, before there is a draft.
        Command::Config(_) => Ok(Reply::Unchanged),

        Command::Profile(command) => profile::route(draft, command),
        Command::Template(command) => template::route(draft, command),

        Command::StartJob { kind } => jobs::start(draft, kind),
        Command::AdvanceJob { job, allowance } => jobs::advance(draft, *job, *allowance),
        Command::TryHeld { connection, position } => {
            let connection = connection::find(draft.state, *connection)?;
            receive::try_held(draft, connection, *position);
            Ok(Reply::Done)
        }

        Command::View(command) => view::decide(draft, command),
        Command::Sharing(command) => sharing::decide(draft, command),

        Command::Effect(command) => effect::run(draft, command),
        Command::Invitation(command) => invitation::run(draft, command),
        Command::Inquiry(command) => inquiry::run(draft, command),
        Command::Notice(command) => notice::run(draft, command),
    }
}

/// Decides one message at the next position of a connection. Never refuses: a message that is no
/// good is an outcome, too.
#[must_use]
pub fn decide_message(
    state: &State,
    connection: ConnectionId,
    position: Position,
    chain: Chain,
    envelope: &Envelope,
    context: &Context,
) -> Vec<Event> {
    let Some(connection) = state.connections.get(&connection) else { return Vec::new() };
    let mut draft = Draft::new(state, context);
    receive::receive(&mut draft, connection, position, chain, envelope);
    draft.finish()
}

/// The same, and what queues and rules do because of it, on a state that is of no use afterwards.
#[must_use]
pub fn decide_message_with_rules(
    mut state: State,
    connection: ConnectionId,
    position: Position,
    chain: Chain,
    envelope: &Envelope,
    context: &Context,
) -> Vec<Event> {
    let mut events = decide_message(&state, connection, position, chain, envelope, context);
    let mut run = Run::default();
    run.note(&state, &events);
    events.iter().for_each(|event| apply(&mut state, context.now, event));
    while let Some(caused) = run.step(&state, context) {
        run.note(&state, &caused);
        caused.iter().for_each(|event| apply(&mut state, context.now, event));
        events.extend(caused);
    }
    events
}

/// A position of a frame whose body could not be read: it ends rejected.
#[must_use]
pub fn decide_malformed(connection: ConnectionId, position: Position, header: &FrameHeader) -> Vec<Event> {
    vec![receive::malformed_position(connection, position, header)]
}

/// Tells the partner the outcomes that it does not know, once per frame.
#[must_use]
pub fn decide_report(state: &State, connection: ConnectionId, context: &Context) -> Vec<Event> {
    let Some(connection) = state.connections.get(&connection) else { return Vec::new() };
    let mut draft = Draft::new(state, context);
    settle::report(&mut draft, connection);
    draft.finish()
}
