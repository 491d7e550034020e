//! Notices: raised for what happened, sent at once or with others, read, and set.
//!
//! What happened is looked at once, when the events of a command or message are all there: so no
//! rule of the domain has to think of telling somebody, and nothing is told twice.

use serde_json::json;

use crate::command::{NoticeCommand, Refusal, Reply};
use crate::decide::draft::Draft;
use crate::decide::people;
use crate::effect::{Cause, Mail, Purpose, Webhook, lines, one_line};
use crate::event::{DigestMade, Event, NoticeRaised, NoticeSettingsSet, NoticesRead};
use crate::limits::{
    DIGEST_MINUTES_MAX, DIGESTS_AT_ONCE_MAX, NOTICES_KEPT, NOTICES_WAITING_MAX, URL_BYTES_MAX,
};
use crate::notice::{Notice, NoticeKind, NoticeSettings};
use crate::state::{Connection, KeptNotice, State, Window};
use crate::{ConnectionId, NoticeId, UserName};

mod derive;

pub(crate) use derive::{derive, told_by_partner, told_of_decision};

/// Most administrators who are told of what concerns nobody in particular.
const ADMINISTRATORS_TOLD_MAX: usize = 10;
/// What a text of a notice may have.
const NOTICE_CHARS_MAX: usize = 1_000;

impl Draft<'_> {
    /// Tells a user something: it is listed, and sent as the user has set it. Nobody who is not an
    /// active user is told anything; of a storm of one kind on one connection the first ones are told.
    pub(crate) fn notify(&mut self, user: &UserName, notice: Notice) {
        let active = self.state.users.get(user).is_some_and(|known| known.active);
        if !active || user.is_connection_user() {
            return;
        }
        let settings = self.state.notices.settings_of(user);
        let window = self.state.notices.of(user).and_then(|known| known.windows.get(&notice.kind));
        let here = || {
            self.events().iter().filter_map(|event| match event {
                Event::NoticeRaised(e) if e.user == *user && e.kind == notice.kind => Some(e.connection),
                _ => None,
            })
        };
        let open = window.filter(|w| w.waiting > 0 || self.now.since_us(w.since) < settings.interval_us());
        let waits = open.is_some() || here().next().is_some();
        let waiting = open.map_or(0, |window| window.waiting_of(notice.connection))
            + here().filter(|connection| *connection == notice.connection).count();
        if waits && waiting >= NOTICES_WAITING_MAX {
            return;
        }
        let id = NoticeId(self.draw());
        let Notice { kind, connection, record, text } = notice;
        let text: String = one_line_of(&text);
        let raised = NoticeRaised { id, user: user.clone(), kind, connection, record, text, waits };
        if !waits && !settings.muted.contains(&kind) {
            send_one(self, user, &settings, &raised);
        }
        self.emit(raised);
    }

    /// Tells whoever manages a connection, or an administrator if that user is not active any more.
    pub(crate) fn notify_owner(&mut self, connection: &Connection, notice: Notice) {
        let notice = notice.on_connection(connection.id);
        let owner = self.state.users.get(&connection.owner).is_some_and(|user| user.active);
        if owner {
            let owner = connection.owner.clone();
            self.notify(&owner, notice);
        } else {
            self.notify_administrators(&notice);
        }
    }

    /// Tells those who may do everything.
    pub(crate) fn notify_administrators(&mut self, notice: &Notice) {
        let state = self.state;
        let administers = |role| state.roles.get(role).is_some_and(|role| role.modify_all_data);
        let users = state.users.iter().filter(|(_, user)| user.active && administers(&user.role));
        for (name, _) in users.take(ADMINISTRATORS_TOLD_MAX) {
            self.notify(name, notice.clone());
        }
    }
}

fn one_line_of(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(NOTICE_CHARS_MAX).collect()
}

fn send_one(draft: &mut Draft<'_>, user: &UserName, settings: &NoticeSettings, raised: &NoticeRaised) {
    let cause =
        Cause { connection: raised.connection, record: raised.record, ..Cause::of(Purpose::Notice).by(user) };
    let org = draft.org().name.clone();
    let about = about(draft.state, raised.connection);
    let subject = format!("[{org}] {}", raised.kind.title());
    let text = format!(
        "{}\n\n{about}Notices of this kind that follow within {} come together. All of them: tieline notice list\n",
        raised.text,
        minutes(settings.digest_minutes)
    );
    let body = json!({
        "event": "notice",
        "org": org,
        "user": user,
        "notices": [{
            "id": raised.id,
            "kind": raised.kind,
            "time": draft.now.to_string(),
            "connection": raised.connection,
            "partner": partner(draft.state, raised.connection),
            "record": raised.record,
            "text": raised.text,
        }],
    });
    send(draft, user, settings, subject, text, &body, cause);
}

fn send(
    draft: &mut Draft<'_>,
    user: &UserName,
    settings: &NoticeSettings,
    subject: String,
    text: String,
    body: &serde_json::Value,
    cause: Cause,
) {
    let address = draft.state.users.get(user).and_then(|user| user.email.clone());
    if let Some(to) = address.filter(|_| settings.mail) {
        let from_name = format!("Tieline of {}", draft.org().name);
        let mail = Mail { to, from_name, subject, text, ..Mail::default() };
        draft.queue_mail(mail, cause.clone());
    }
    if let Some(hook) = &settings.webhook {
        let webhook = Webhook { url: hook.url.clone(), body: body.to_string(), secret: hook.secret.clone() };
        draft.queue_webhook(webhook, cause);
    }
}

fn minutes(count: u32) -> String {
    match count {
        1 => "a minute".to_owned(),
        60 => "an hour".to_owned(),
        1_440 => "a day".to_owned(),
        count => format!("{count} minutes"),
    }
}

fn partner(state: &State, connection: Option<ConnectionId>) -> Option<String> {
    let name = state.connections.get(&connection?)?.display_name();
    // Before a partner is known, and without a label, there is none.
    Some(name.to_owned()).filter(|name| !name.is_empty())
}

fn about(state: &State, connection: Option<ConnectionId>) -> String {
    let Some(id) = connection else { return String::new() };
    match partner(state, connection) {
        Some(name) => format!("Connection: {name} ({id})\n\n"),
        None => format!("Connection: {id}\n\n"),
    }
}

pub(super) fn run(draft: &mut Draft<'_>, command: &NoticeCommand) -> Result<Reply, Refusal> {
    match command {
        NoticeCommand::MakeDigests => Ok(make_digests(draft)),
        NoticeCommand::Read { ids } => read(draft, ids),
        NoticeCommand::Set { user, settings } => set(draft, user.as_ref(), settings.as_ref()),
    }
}

fn make_digests(draft: &mut Draft<'_>) -> Reply {
    let state = draft.state;
    let due: Vec<_> = state.notices.due(draft.now).take(DIGESTS_AT_ONCE_MAX).collect();
    if due.is_empty() {
        return Reply::Unchanged;
    }
    for (user, kinds) in due {
        digest(draft, user, &kinds);
        draft.emit(DigestMade { user: user.clone(), kinds });
    }
    Reply::Done
}

fn digest(draft: &mut Draft<'_>, user: &UserName, kinds: &[NoticeKind]) {
    let state = draft.state;
    let settings = state.notices.settings_of(user);
    let Some(known) = state.notices.of(user) else { return };
    let wanted = |kind: NoticeKind| kinds.contains(&kind) && !settings.muted.contains(&kind);
    let waiting: Vec<&KeptNotice> =
        known.list.iter().filter(|notice| notice.waits && wanted(notice.kind)).collect();
    if waiting.is_empty() || !state.users.get(user).is_some_and(|user| user.active) {
        return;
    }
    let mut text = String::new();
    for kind in kinds.iter().filter(|kind| wanted(**kind)) {
        let of_kind: Vec<_> = waiting.iter().filter(|notice| notice.kind == *kind).collect();
        let is_cut = known.windows.get(kind).is_some_and(Window::is_cut);
        let more = if is_cut { " or more" } else { "" };
        text.push_str(&format!("{}: {}{more}\n", kind.title(), of_kind.len()));
        for notice in of_kind {
            let name = partner(state, notice.connection).map(|name| format!("{name}: ")).unwrap_or_default();
            text.push_str(&format!("  {} {name}{}\n", notice.time, notice.text));
        }
        text.push('\n');
    }
    text.push_str("All of them: tieline notice list\n");
    let org = draft.org().name.clone();
    let subject = one_line(&format!("[{org}] {} notices", waiting.len()));
    let notices = waiting.iter().map(|notice| {
        json!({
            "id": notice.id,
            "kind": notice.kind,
            "time": notice.time.to_string(),
            "connection": notice.connection,
            "partner": partner(state, notice.connection),
            "record": notice.record,
            "text": notice.text,
        })
    });
    let body = json!({ "event": "digest", "org": org, "user": user, "notices": notices.collect::<Vec<_>>() });
    send(draft, user, &settings, subject, lines(&text), &body, Cause::of(Purpose::Digest).by(user));
}

fn read(draft: &mut Draft<'_>, ids: &[NoticeId]) -> Result<Reply, Refusal> {
    if ids.len() > NOTICES_KEPT {
        let text = format!("at most {NOTICES_KEPT} notices are marked at once: name none to mark all");
        return Err(Refusal::invalid("limit_reached", text));
    }
    let known = draft.state.notices.of(&draft.actor);
    let list = || known.into_iter().flat_map(|known| &known.list);
    if let Some(id) = ids.iter().find(|id| !list().any(|notice| notice.id == **id)) {
        let text = format!("{} has no notice {id}: see `tieline notice list`", draft.actor);
        return Err(Refusal::not_found("unknown_notice", text));
    }
    let unread = list().any(|notice| !notice.read && (ids.is_empty() || ids.contains(&notice.id)));
    if !unread {
        return Ok(Reply::Unchanged);
    }
    draft.emit(NoticesRead { user: draft.actor.clone(), ids: ids.to_vec() });
    Ok(Reply::Done)
}

fn set(
    draft: &mut Draft<'_>,
    user: Option<&UserName>,
    settings: Option<&NoticeSettings>,
) -> Result<Reply, Refusal> {
    let notices = &draft.state.notices;
    let known = match user {
        None => notices.settings.as_ref(),
        Some(user) => {
            people::find_active(draft.state, user)?;
            notices.of(user).and_then(|known| known.settings.as_ref())
        }
    };
    if known == settings {
        return Ok(Reply::Unchanged);
    }
    settings.map_or(Ok(()), check)?;
    draft.emit(NoticeSettingsSet {
        user: user.cloned(),
        settings: settings.cloned(),
        actor: draft.actor.clone(),
    });
    Ok(Reply::Done)
}

fn check(settings: &NoticeSettings) -> Result<(), Refusal> {
    if !(1..=DIGEST_MINUTES_MAX).contains(&settings.digest_minutes) {
        let text = format!("digest_minutes is {}: from 1 to {DIGEST_MINUTES_MAX}", settings.digest_minutes);
        return Err(Refusal::invalid("bad_notice_settings", text));
    }
    settings.webhook.as_ref().map_or(Ok(()), |hook| check_url(&hook.url))
}

/// A web address as a webhook may have it: whether it may be reached is decided as it is.
pub(crate) fn check_url(url: &str) -> Result<(), Refusal> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    let plain = url.len() <= URL_BYTES_MAX && url.bytes().all(|b| b.is_ascii_graphic());
    if plain && !host.is_empty() && !host.contains('@') {
        return Ok(());
    }
    let text = format!(
        "{} is not a web address for a webhook: write it as https://host/path, without a user",
        crate::reason::quoted(url)
    );
    Err(Refusal::invalid("bad_url", text))
}
