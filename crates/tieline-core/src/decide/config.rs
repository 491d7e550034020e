//! The configuration as a whole: the commands of a plan, all or none.
//!
//! Each is decided on a clone of the state as those before it leave it, and permitted as if it came
//! alone. The clone shares records, shares and outboxes with the state (`state::Bulk`), so whatever
//! looks at records sees the real ones, and none of them is copied.

use super::{Decision, decide};
use crate::apply::apply;
use crate::command::{Command, ConfigCommand, Context, Refusal, Reply};
use crate::config::{ConfigHash, Member};
use crate::event::{ConfigApplied, Event};
use crate::limits::{CONFIG_BYTES_MAX, CONFIG_EVENTS_MAX};
use crate::state::State;

/// Decides a command about the configuration as a whole.
pub(super) fn route(state: &State, command: &ConfigCommand, context: &Context) -> Result<Decision, Refusal> {
    let ConfigCommand::Apply { members, based_on } = command;
    let before = ConfigHash::of(state);
    if based_on.is_some_and(|based_on| based_on != before) {
        let text = "the configuration has changed since the plan was made: make the plan again, or apply it to \
                    whatever there is with --force";
        return Err(Refusal::conflict("plan_outdated", text));
    }
    let mut working = state.clone();
    let mut group = Group::default();
    let mut commands = 0;
    for member in members {
        if matches!(member.command, Command::Config(_)) {
            return Err(Refusal::invalid("bad_config", "a plan holds no other plan"));
        }
        let Decision { events, .. } =
            decide(&working, &member.command, context).map_err(|refusal| at(member, refusal))?;
        commands += u32::from(!events.is_empty());
        for event in events {
            apply(&mut working, context.now, &event);
            group.push(event).map_err(|refusal| at(member, refusal))?;
        }
    }
    if group.events.is_empty() {
        return Ok(Decision { events: Vec::new(), reply: Reply::Unchanged });
    }
    let (before, after) = (before.0, ConfigHash::of(&working).0);
    let actor = context.actor.clone();
    group.events.push(ConfigApplied { commands, before, after, actor }.into());
    Ok(Decision { events: group.events, reply: Reply::Done })
}

/// The events so far, within what one group of the log may hold.
#[derive(Default)]
struct Group {
    events: Vec<Event>,
    body: Vec<u8>,
    bytes: usize,
}

impl Group {
    fn push(&mut self, event: Event) -> Result<(), Refusal> {
        self.body.clear();
        event.encode_body(&mut self.body);
        self.bytes += self.body.len();
        self.events.push(event);
        if self.events.len() <= CONFIG_EVENTS_MAX && self.bytes <= CONFIG_BYTES_MAX {
            return Ok(());
        }
        let text = format!(
            "the files change more than one group of the log may hold ({CONFIG_EVENTS_MAX} events, \
             {CONFIG_BYTES_MAX} bytes): apply them in parts"
        );
        Err(Refusal::invalid("limit_reached", text))
    }
}

/// A refusal that names the item and its place.
fn at(member: &Member, refusal: Refusal) -> Refusal {
    let Member { item, place, .. } = member;
    Refusal { message: format!("{item} ({place}): {}", refusal.message), ..refusal }
}
