//! Effects: queued by whoever decides something that has to be done outside, ended by the courier.

use crate::command::{EffectCommand, Refusal, Reply};
use crate::decide::draft::Draft;
use crate::effect::{Cause, Effect, Mail, Webhook, lines, one_line};
use crate::event::{
    AlarmRaised, EffectDropped, EffectEnded, EffectQueued, EffectRetried, Event, WebhookSecretChanged,
};
use crate::limits::{EFFECT_BODY_BYTES_MAX, URL_BYTES_MAX};
use crate::value::is_email;
use crate::{EffectId, Timestamp};

/// The code of the alarm that says that effects are not queued any more.
const FULL: &str = "effects_full";
/// It is not raised again for so long.
const FULL_AGAIN_US: i64 = 3_600 * 1_000_000;

impl Draft<'_> {
    /// Queues a mail; nothing if the address is not one, or too much waits already, of which an
    /// alarm tells. Subject and text are bounded, and no part of them can become a header.
    pub(crate) fn queue_mail(&mut self, mail: Mail, cause: Cause) -> Option<EffectId> {
        if !is_email(&mail.to) {
            return None;
        }
        let mail = Mail {
            from_name: one_line(&mail.from_name),
            reply_to: mail.reply_to.filter(|address| is_email(address)),
            subject: one_line(&mail.subject),
            text: lines(&mail.text),
            html: mail.html.as_deref().map(lines),
            ..mail
        };
        self.queue(Effect::Mail(mail), cause)
    }

    /// Queues a message to a web address; nothing if too much waits already, of which an alarm
    /// tells, or if it is too large.
    pub(crate) fn queue_webhook(&mut self, webhook: Webhook, cause: Cause) -> Option<EffectId> {
        if webhook.body.len() > EFFECT_BODY_BYTES_MAX || webhook.url.len() > URL_BYTES_MAX {
            return None;
        }
        self.queue(Effect::Webhook(webhook), cause)
    }

    fn queue(&mut self, effect: Effect, cause: Cause) -> Option<EffectId> {
        let queued = |event: &Event| match event {
            Event::EffectQueued(queued) => Some(queued.effect.bytes()),
            _ => None,
        };
        let (count, bytes) = self.events().iter().filter_map(queued).fold((1, effect.bytes()), add);
        if !self.state.effects.has_room(count, bytes) {
            self.tell_that_effects_are_full();
            return None;
        }
        let id = EffectId(self.draw());
        self.emit(EffectQueued { id, effect, cause });
        Some(id)
    }

    fn tell_that_effects_are_full(&mut self) {
        let now = self.now;
        let told = |time: Timestamp| now.since_us(time) < FULL_AGAIN_US;
        let known = self.state.alarms.iter().any(|raised| raised.alarm.code == FULL && told(raised.time));
        let here = |event: &Event| matches!(event, Event::AlarmRaised(alarm) if alarm.code == FULL);
        if !known && !self.events().iter().any(here) {
            self.emit(AlarmRaised {
                connection: None,
                code: FULL.to_owned(),
                message:
                    "too many mails and webhooks wait to be sent, and new ones are dropped: see `tieline \
                          effect list` for why"
                        .to_owned(),
            });
        }
    }
}

const fn add((count, sum): (usize, usize), bytes: usize) -> (usize, usize) {
    (count + 1, sum + bytes)
}

pub(super) fn run(draft: &mut Draft<'_>, command: &EffectCommand) -> Result<Reply, Refusal> {
    match command {
        EffectCommand::End { id, sent, attempts, error } => Ok(end(draft, *id, *sent, *attempts, error)),
        EffectCommand::Retry { id } => {
            find_failed(draft, *id)?;
            draft.emit(EffectRetried { id: *id, actor: draft.actor.clone() });
            Ok(Reply::Done)
        }
        EffectCommand::Drop { id } => {
            find_failed(draft, *id)?;
            draft.emit(EffectDropped { id: *id, actor: draft.actor.clone() });
            Ok(Reply::Done)
        }
        EffectCommand::NoteSecret { name, change } => {
            let actor = draft.actor.clone();
            draft.emit(WebhookSecretChanged { name: name.clone(), change: *change, actor });
            Ok(Reply::Done)
        }
    }
}

fn find_failed(draft: &Draft<'_>, id: EffectId) -> Result<(), Refusal> {
    if draft.state.effects.failed().contains_key(&id) {
        return Ok(());
    }
    if draft.state.effects.open().contains_key(&id) {
        let text =
            format!("effect {id} is being tried: only one that was given up can be tried again or dropped");
        return Err(Refusal::conflict("effect_open", text));
    }
    let text = format!("there is no effect {id} that was given up: see `tieline effect list`");
    Err(Refusal::not_found("unknown_effect", text))
}

fn end(draft: &mut Draft<'_>, id: EffectId, sent: bool, attempts: u32, error: &str) -> Reply {
    if !draft.state.effects.open().contains_key(&id) {
        return Reply::Unchanged;
    }
    draft.emit(EffectEnded { id, sent, attempts, error: lines(error) });
    Reply::Done
}
