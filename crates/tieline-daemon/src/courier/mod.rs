//! The courier: does what has to be done outside, and says how it ended.
//!
//! It is a tail of the state: an effect is tried once it is durable that it has to be done, and as
//! often as it takes, with pauses that grow. Its end is an event like any other. If the daemon stops
//! in between, it is tried again: at least once, with an id by which a repeat is known. The writer
//! never waits for it.

mod guard;
mod roots;
mod smtp;
mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tieline_core::command::{Command, EffectCommand, NoticeCommand};
use tieline_core::effect::{Effect, Mail};
use tieline_core::state::State;
use tieline_core::{ConnectionId, EffectId, Seq, Timestamp, UserName};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::now;
use crate::config::{Config, Outside};
use crate::metrics::Metric;
use crate::org::OrgHandle;
use smtp::Mailer;
use webhook::Hooks;

/// Most effects of a kind that are tried at the same time.
const TRIED_AT_ONCE: usize = 4;
/// The longest pause between two attempts at one effect.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// The longest pause between two attempts at a place: somebody may have mended it.
const PLACE_PAUSE_MAX: Duration = Duration::from_secs(60);
/// How often digests, and what waits for its pause, are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    /// It would fail again, however often it was tried.
    for_good: bool,
    /// Other effects would fail there, too.
    everything: bool,
    error: String,
}

impl Failed {
    fn for_good(error: impl Into<String>) -> Self {
        Self { for_good: true, everything: false, error: error.into() }
    }

    fn for_now(error: impl Into<String>) -> Self {
        Self { for_good: false, everything: false, error: error.into() }
    }

    fn everything(error: impl Into<String>) -> Self {
        Self { for_good: false, everything: true, error: error.into() }
    }
}

/// Where an effect goes: one that cannot be reached is left alone for a while, with all that goes there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    MailServer,
    Host(String),
}

/// Effects of a place, or one effect, after failed attempts.
struct Waits {
    attempts: u32,
    pause: Duration,
    until: Instant,
    error: String,
}

/// An effect that is to be tried now.
struct Due {
    id: EffectId,
    seq: Seq,
    queued: Timestamp,
    effect: Arc<Effect>,
    place: Place,
}

/// How an attempt ended.
struct Ended {
    id: EffectId,
    kind: &'static str,
    place: Place,
    queued: Timestamp,
    result: Result<(), Failed>,
}

struct Courier {
    org: OrgHandle,
    means: Arc<Means>,
    settings: Outside,
    /// Effects that failed, by what is known of them.
    waits: BTreeMap<EffectId, Waits>,
    places: BTreeMap<Place, Waits>,
    tried: BTreeMap<EffectId, &'static str>,
    running: JoinSet<Ended>,
}

/// What effects are done with.
struct Means {
    org: OrgHandle,
    mailer: Result<Mailer, String>,
    hooks: Result<Hooks, String>,
}

/// Runs for as long as the daemon does.
pub(crate) async fn run(org: OrgHandle, config: Config, stop: CancellationToken) {
    let mailer = Mailer::new(&config.mail);
    if let Err(error) = mailer.as_ref().map(|_| ()).map_err(String::as_str)
        && !config.mail.host.is_empty()
    {
        tracing::error!(%error, "no mail can be sent");
    }
    let hooks = Hooks::new(&config.webhook, crate::keys_dir(&config.data_dir));
    let means = Arc::new(Means { org: org.clone(), mailer, hooks });
    let mut courier = Courier {
        org: org.clone(),
        means,
        settings: config.outside,
        waits: BTreeMap::new(),
        places: BTreeMap::new(),
        tried: BTreeMap::new(),
        running: JoinSet::new(),
    };
    let mut durable = org.durable();
    let mut seen = Seq::default();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(ended) = courier.running.join_next() => match ended {
                Ok(ended) => courier.ended(ended).await,
                Err(error) => {
                    // Which one it was is not told: all that were under way are tried again.
                    tracing::error!(%error, "an attempt to send something ended by a panic");
                    courier.tried.clear();
                }
            },
            _ = look.tick() => courier.make_digests().await,
            changed = durable.changed() => {
                if changed.is_err() {
                    return;
                }
                let newest = org.peek(|state| state.effects.newest);
                if newest == seen {
                    continue;
                }
                seen = newest;
            }
        }
        courier.start().await;
    }
}

impl Courier {
    /// Starts the attempts that are due, as far as there is room.
    async fn start(&mut self) {
        let now_here = Instant::now();
        let mut room: BTreeMap<&str, usize> =
            BTreeMap::from([("mail", TRIED_AT_ONCE), ("webhook", TRIED_AT_ONCE)]);
        for kind in self.tried.values() {
            if let Some(room) = room.get_mut(kind) {
                *room = room.saturating_sub(1);
            }
        }
        if room.values().all(|room| *room == 0) {
            return;
        }
        let mut due = self.org.peek(|state| self.due(state, now_here));
        due.sort_by_key(|due| due.seq);
        let mut probed: BTreeSet<Place> = BTreeSet::new();
        for due in due {
            let Some(room) = room.get_mut(due.effect.kind()).filter(|room| **room > 0) else { continue };
            if let Some(error) = self.given_up(&due) {
                self.end(due.id, due.effect.kind(), false, &error).await;
                continue;
            }
            // A place that was away is asked by one effect before the others follow.
            if self.places.contains_key(&due.place) && !probed.insert(due.place.clone()) {
                continue;
            }
            *room -= 1;
            self.tried.insert(due.id, due.effect.kind());
            self.running.spawn(attempt(self.means.clone(), due));
        }
    }

    /// The open effects whose time has come.
    fn due(&self, state: &State, now_here: Instant) -> Vec<Due> {
        let waits = |waits: Option<&Waits>| waits.is_some_and(|waits| waits.until > now_here);
        let open = state.effects.open().iter().filter(|(id, _)| !self.tried.contains_key(id));
        let ready = open.filter(|(id, _)| !waits(self.waits.get(id)));
        let due = ready.map(|(id, open)| Due {
            id: *id,
            seq: open.seq,
            queued: open.time,
            effect: open.effect.clone(),
            place: place_of(&open.effect),
        });
        due.filter(|due| !waits(self.places.get(&due.place))).collect()
    }

    /// Why an effect is given up before it is tried again, if it is.
    fn given_up(&self, due: &Due) -> Option<String> {
        let age_us = now().since_us(due.queued);
        let most_us =
            i64::try_from(self.settings.give_up_after_s).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let known = self.waits.get(&due.id).or_else(|| self.places.get(&due.place))?;
        (age_us >= most_us).then(|| known.error.clone())
    }

    /// What an attempt came to.
    async fn ended(&mut self, ended: Ended) {
        let Ended { id, kind, place, queued, result } = ended;
        self.tried.remove(&id);
        let failed = match result {
            Ok(()) => {
                self.places.remove(&place);
                return self.end(id, kind, true, "").await;
            }
            Err(failed) => failed,
        };
        let first = Duration::from_millis(self.settings.retry_after_ms);
        note(self.waits.entry(id).or_insert_with(|| Waits::new(first)), &failed, PAUSE_MAX);
        if failed.everything {
            note(self.places.entry(place).or_insert_with(|| Waits::new(first)), &failed, PLACE_PAUSE_MAX);
        } else {
            self.places.remove(&place);
        }
        let age_us = now().since_us(queued);
        let over = age_us / 1_000_000 >= i64::try_from(self.settings.give_up_after_s).unwrap_or(i64::MAX);
        if failed.for_good || over {
            return self.end(id, kind, false, &failed.error).await;
        }
        let attempts = self.waits.get(&id).map_or(0, |waits| waits.attempts);
        self.org.note_trying(id, Some((attempts, failed.error.clone())));
        tracing::warn!(effect = %id, kind, error = %failed.error, "an effect could not be done, and is tried again");
    }

    /// Says how an effect ended. If that cannot be said now, it is tried again, and known as a repeat.
    async fn end(&mut self, id: EffectId, kind: &'static str, sent: bool, error: &str) {
        self.org.note_trying(id, None);
        let failed_before = self.waits.remove(&id).map_or(0, |waits| waits.attempts);
        let attempts = failed_before + u32::from(sent);
        let command = EffectCommand::End { id, sent, attempts, error: error.to_owned() };
        let outcome = if sent { "sent" } else { "failed" };
        match self.org.execute(Command::Effect(command), &UserName::connection_user()).await {
            Ok(_) => self.org.observer().metrics().counter(Metric::Effects, &[kind, outcome]).increment(1),
            Err(error) => tracing::warn!(effect = %id, %error, "the end of an effect could not be logged"),
        }
        if !sent {
            tracing::error!(effect = %id, kind, attempts, %error, "an effect was given up: see `tieline effect list`");
        }
    }

    async fn make_digests(&self) {
        if !self.org.peek(|state| state.notices.due(now()).next().is_some()) {
            return;
        }
        let command = Command::Notice(NoticeCommand::MakeDigests);
        if let Err(error) = self.org.execute(command, &UserName::connection_user()).await {
            tracing::warn!(%error, "digests were not made");
        }
    }
}

impl Waits {
    fn new(pause: Duration) -> Self {
        Self { attempts: 0, pause, until: Instant::now(), error: String::new() }
    }
}

fn note(waits: &mut Waits, failed: &Failed, pause_max: Duration) {
    waits.attempts += 1;
    waits.until = Instant::now() + waits.pause;
    waits.pause = (waits.pause * 2).min(pause_max);
    waits.error.clone_from(&failed.error);
}

fn place_of(effect: &Effect) -> Place {
    match effect {
        Effect::Mail(_) => Place::MailServer,
        Effect::Webhook(webhook) => Place::Host(webhook::host_of(&webhook.url)),
    }
}

async fn attempt(means: Arc<Means>, due: Due) -> Ended {
    // That it has to be done is durable before anything of it leaves.
    let mut durable = means.org.durable();
    let kind = due.effect.kind();
    let result = match durable.wait_for(|durable| *durable >= due.seq).await.map(|_| ()) {
        Ok(()) => means.perform(due.id, &due.effect).await,
        Err(_) => Err(Failed::for_now("the daemon is stopping")),
    };
    Ended { id: due.id, kind, place: due.place, queued: due.queued, result }
}

impl Means {
    async fn perform(&self, id: EffectId, effect: &Effect) -> Result<(), Failed> {
        match effect {
            Effect::Mail(mail) => self.mail(id, mail).await,
            Effect::Webhook(webhook) => match &self.hooks {
                Ok(hooks) => hooks.send(id, webhook).await,
                Err(error) => Err(Failed::for_good(error.clone())),
            },
        }
    }

    async fn mail(&self, id: EffectId, mail: &Mail) -> Result<(), Failed> {
        let mailer = self.mailer.as_ref().map_err(|error| Failed::for_good(error.clone()))?;
        let url = match mail.invitation {
            Some(connection) => Some(self.url(connection).map_err(Failed::for_good)?),
            None => None,
        };
        mailer.send(id, mail, url.as_deref()).await
    }

    /// The connection URL of an invitation, whose secret lies beside the keys.
    fn url(&self, connection: ConnectionId) -> Result<String, String> {
        self.org.sent_invitation_url(connection)
    }
}
