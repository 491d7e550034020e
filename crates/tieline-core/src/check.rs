//! What will go wrong with the present rules, mappings and catalogues, before it does (OPS-13).
//!
//! Nothing here looks at a record: what is to be asked of every record is a question
//! ([`RecordQuestion`]), which its owner asks in slices. Where rules are saved they are checked, too;
//! here they are checked again, against what the partner publishes now and the objects as they are now.

mod settings;

use std::collections::BTreeSet;

use crate::config::RecordQuestion;
use crate::expr::Expression;
use crate::mapping::{FieldMapping, SubscribeRule};
use crate::publish::{CatalogueObject, PublishRule};
use crate::schema::{FieldKind, ObjectSchema, compatible};
use crate::state::{Connection, ConnectionStatus, Share, ShareRole, ShareStatus, State};
use crate::value::{Value, cast};
use crate::view::InboxView;
use crate::{ConnectionId, FieldName, Owner, Timestamp, UserName};

use settings::unfit;
pub use settings::{Unfit, breaks};

/// A token that ends sooner than this is worth a word.
const TOKEN_ENDS_US: i64 = 14 * 24 * 3_600 * 1_000_000;

/// Something that will go wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The connection, if it is about one.
    pub connection: Option<ConnectionId>,
    /// The setting, as `subscribe.Lead`.
    pub item: String,
    /// A stable code.
    pub code: &'static str,
    /// The local field or rule, if it is about one.
    pub detail: String,
    /// The thing, the reason and the remedy.
    pub message: String,
    /// How many offers, shares or records it concerns now; nothing if that is not known.
    pub count: Option<u64>,
}

/// Everything that will go wrong at `now`, over one connection or over all, and in the org itself.
#[must_use]
pub fn check(state: &State, only: Option<ConnectionId>, now: Timestamp) -> Vec<Finding> {
    let mut checker = Checker { state, findings: Vec::new() };
    if only.is_none() {
        checker.org(now);
        checker.ended();
        checker.settings();
    }
    let connections = state.connections.values().filter(|connection| connection.is_active());
    for connection in connections.filter(|connection| only.is_none_or(|id| id == connection.id)) {
        checker.connection(connection);
    }
    checker.findings
}

/// What has to be asked of every record: whether its object would take it as it is.
#[must_use]
pub fn questions(state: &State) -> Vec<RecordQuestion> {
    state.objects.values().filter_map(|object| RecordQuestion::whether_taken(object)).collect()
}

struct Checker<'s> {
    state: &'s State,
    findings: Vec<Finding>,
}

/// What a finding is about.
#[derive(Clone, Copy)]
struct About<'a> {
    connection: Option<&'a Connection>,
    item: &'a str,
}

impl Checker<'_> {
    fn find(
        &mut self,
        about: About<'_>,
        code: &'static str,
        detail: &str,
        message: String,
        count: Option<u64>,
    ) {
        self.findings.push(Finding {
            connection: about.connection.map(|connection| connection.id),
            item: about.item.to_owned(),
            code,
            detail: detail.to_owned(),
            message,
            count,
        });
    }

    fn org(&mut self, now: Timestamp) {
        let licences = self.state.licences(now);
        let sends = self.state.org.as_ref().is_some_and(|org| org.settings.edition.sends());
        if sends && licences.used >= licences.max {
            let text = format!(
                "all {} connection licences are in use: the next invitation will be refused; raise them with \
                 `tieline org set --connection-licences`",
                licences.max
            );
            self.find(About { connection: None, item: "org" }, "no_licence", "", text, None);
        }
        for (name, user) in &self.state.users {
            let ends = user.tokens.values().filter(|token| token.revoked.is_none()).filter_map(|t| t.expires);
            let soon = ends.filter(|ends| *ends > now && ends.since_us(now) < TOKEN_ENDS_US);
            for ends in soon.filter(|_| user.active) {
                let text = format!(
                    "a token of {name} ends at {ends}: make another with `tieline token create {name}`"
                );
                let item = format!("users.{name}");
                self.find(About { connection: None, item: &item }, "token_ends", "", text, None);
            }
        }
    }

    /// Queues and sharing rules that name a connection which is over: a new one with the same partner is another.
    fn ended(&mut self) {
        let automation = &self.state.automation;
        let queues =
            automation.queues.values().map(|queue| (format!("queues.{}", queue.name), &queue.connections));
        let rules = automation.sharing.values().filter(|rule| rule.active);
        let rules = rules.map(|rule| (format!("sharing_rules.{}", rule.name), &rule.connections));
        let named =
            queues.chain(rules).flat_map(|(item, named)| named.iter().map(move |id| (item.clone(), id)));
        for (item, id) in named {
            let Some(connection) = self.state.connections.get(id) else { continue };
            if matches!(connection.status, ConnectionStatus::Active | ConnectionStatus::Pending) {
                continue;
            }
            let text = format!(
                "{item} is to offer records to {}, and that connection is over: nothing is offered; name another \
                 connection, or take it out",
                connection.display_name()
            );
            self.find(About { connection: None, item: &item }, "connection_ended", "", text, None);
        }
    }

    /// Rules, views and reports whose object has become another since they were saved.
    fn settings(&mut self) {
        for object in self.state.objects.values() {
            for Unfit { item, reason } in unfit(self.state, object) {
                let detail = reason.field.as_ref().map(ToString::to_string).unwrap_or_default();
                let text = format!("{item} could not be saved as it is now: {}", reason.message);
                self.find(About { connection: None, item: &item }, reason.code.as_str(), &detail, text, None);
            }
        }
    }

    fn connection(&mut self, connection: &Connection) {
        let about = About { connection: Some(connection), item: "connection" };
        self.owner(about, &connection.owner, "manages the connection and is told what happens");
        let waiting = connection.shares.values().filter(|share| share.status == ShareStatus::Granted).count();
        if waiting > 0 {
            let text = format!(
                "{waiting} accepted records cannot be created here: see why with `tieline failure list`"
            );
            self.find(about, "not_created", "", text, Some(waiting as u64));
        }
        self.queues(connection);
        for rule in connection.publish.values() {
            self.publish(connection, rule);
        }
        for taken in connection.taken.values() {
            let item = format!("publish.{}", taken.object);
            let rule = connection.publish.get(&taken.object);
            let missing: Vec<&str> = taken
                .fields
                .iter()
                .filter(|field| rule.is_none_or(|rule| !rule.publishes(field)))
                .map(FieldName::as_str)
                .collect();
            if !missing.is_empty() {
                let text = format!(
                    "{} takes {} of {}, which {} not published to it",
                    connection.display_name(),
                    missing.join(", "),
                    taken.object,
                    if missing.len() == 1 { "is" } else { "are" }
                );
                let about = About { connection: Some(connection), item: &item };
                self.find(about, "taken_not_published", "", text, None);
            }
        }
        for rule in connection.subscribe.values() {
            self.subscribe(connection, rule);
        }
    }

    /// Queues that are to offer what is not published.
    fn queues(&mut self, connection: &Connection) {
        let queues = self.state.automation.queues.values();
        for queue in queues.filter(|queue| queue.connections.contains(&connection.id)) {
            let item = format!("queues.{}", queue.name);
            let missing = queue.objects.iter().filter(|object| !connection.publish.contains_key(*object));
            for object in missing {
                let text = format!(
                    "the queue {} is to offer {object} to {}, and {object} is not published to it: publish it",
                    queue.name,
                    connection.display_name()
                );
                let about = About { connection: Some(connection), item: &item };
                self.find(about, "queue_not_published", object.as_str(), text, None);
            }
        }
    }

    /// A user who is to do something and does nothing.
    fn owner(&mut self, about: About<'_>, owner: &UserName, does: &str) {
        let user = self.state.users.get(owner);
        if user.is_some_and(|user| user.active) || owner.is_connection_user() {
            return;
        }
        let text = format!("{owner} {does}, and is not an active user: name another one");
        self.find(about, "owner_inactive", owner.as_str(), text, None);
    }

    fn publish(&mut self, connection: &Connection, rule: &PublishRule) {
        let item = format!("publish.{}", rule.object);
        let about = About { connection: Some(connection), item: &item };
        let Some(object) = self.state.object(&rule.object) else { return };
        for reason in rule.check(object).err().unwrap_or_default() {
            let field = reason.field.as_ref().map(ToString::to_string).unwrap_or_default();
            self.find(about, reason.code.as_str(), &field, reason.message, None);
        }
        let Some(taken) = connection.taken.get(&rule.object) else {
            let text = format!(
                "{} is published, and {} takes nothing of it: what is offered there cannot be accepted",
                rule.object,
                connection.display_name()
            );
            let open = count(connection, &rule.object, ShareRole::Origin, |share| {
                share.status == ShareStatus::Offered
            });
            self.find(about, "published_not_taken", "", text, Some(open));
            return;
        };
        let unused: Vec<&str> =
            rule.fields.iter().filter(|field| !taken.fields.contains(field)).map(FieldName::as_str).collect();
        if !unused.is_empty() {
            let text = format!(
                "{} of {} are published, and {} takes none of them: {}",
                unused.len(),
                rule.object,
                connection.display_name(),
                unused.join(", ")
            );
            self.find(about, "field_not_taken", "", text, None);
        }
    }

    fn subscribe(&mut self, connection: &Connection, rule: &SubscribeRule) {
        let item = format!("subscribe.{}", rule.remote);
        let about = About { connection: Some(connection), item: &item };
        if let Some(owner) = rule.owner.as_ref().and_then(Owner::user).filter(|_| rule.auto_accept) {
            self.owner(about, owner, "owns what is accepted automatically");
        }
        let Some(local) = self.state.object(&rule.local) else { return };
        let open = count(connection, &rule.remote, ShareRole::Copy, |share| {
            matches!(share.status, ShareStatus::Offered | ShareStatus::Accepting | ShareStatus::Granted)
        });
        let Some(catalogue) = connection.catalogue.get(&rule.remote) else {
            let active =
                count(connection, &rule.remote, ShareRole::Copy, |share| share.status == ShareStatus::Active);
            let text = format!(
                "{} is subscribed, and {} does not publish it: nothing of it comes; ask for it, or take the rule away",
                rule.remote,
                connection.display_name()
            );
            self.find(about, "not_published", "", text, Some(active + open));
            return;
        };
        match rule.check(local, catalogue) {
            Ok(warnings) => {
                for warning in warnings {
                    let of_creation = warning.code == crate::mapping::WarningCode::CreateSet;
                    let count = of_creation.then_some(open);
                    self.find(about, warning.code.as_str(), warning.field.as_str(), warning.message, count);
                }
            }
            Err(reasons) => {
                for reason in reasons {
                    let field = reason.field.as_ref().map(ToString::to_string).unwrap_or_default();
                    let text = format!("the rule could not be saved as it is now: {}", reason.message);
                    self.find(about, reason.code.as_str(), &field, text, None);
                }
            }
        }
        for view in self.state.views.inbox.values() {
            if let Some(text) = unseen(self.state, connection, rule, view) {
                self.find(about, "not_in_offers", view.name.as_str(), text, None);
            }
        }
        for mapping in &rule.fields {
            self.way_back(connection, rule, mapping, local, catalogue);
        }
        if !rule.accept_whole {
            self.create_set(about, rule, local, catalogue, open);
        }
    }

    /// Whether what is changed here can go back to the field that it came from.
    fn way_back(
        &mut self,
        connection: &Connection,
        rule: &SubscribeRule,
        mapping: &FieldMapping,
        local: &ObjectSchema,
        catalogue: &CatalogueObject,
    ) {
        let returns = connection.publish.get(&rule.local).is_some_and(|rule| rule.publishes(&mapping.local))
            && connection.taken.get(&rule.local).is_some_and(|taken| taken.fields.contains(&mapping.local));
        let Some(remote) = mapping.remote().filter(|_| returns) else { return };
        let (Some(field), Some(source)) = (local.field(&mapping.local), catalogue.field(remote)) else {
            return;
        };
        if compatible(field.field_type, source.field_type).is_ok() {
            return;
        }
        let item = format!("subscribe.{}", rule.remote);
        let text = format!(
            "{} comes from {remote}, and what is changed here goes back: {} does not convert to {}, so it will be \
             refused there",
            mapping.local, field.field_type, source.field_type
        );
        let about = About { connection: Some(connection), item: &item };
        self.find(about, "no_way_back", mapping.local.as_str(), text, None);
    }

    /// Validation rules that look at what a copy does not have when it is created (S2S-48).
    fn create_set(
        &mut self,
        about: About<'_>,
        rule: &SubscribeRule,
        local: &ObjectSchema,
        catalogue: &CatalogueObject,
        open: u64,
    ) {
        // What a copy has at its creation: what comes with the grant, what is constant, what has a default.
        let comes = |mapping: &&FieldMapping| {
            mapping.reads().all(|remote| catalogue.create_set.contains(remote)) || mapping.default.is_some()
        };
        let mut has: BTreeSet<&FieldName> =
            rule.fields.iter().filter(comes).map(|mapping| &mapping.local).collect();
        has.extend(local.fields.iter().filter(|field| field.default.is_some()).map(|field| &field.name));
        // What nobody writes is not missed; the org computes it.
        let computed = local.fields.iter().filter(|field| field.kind != FieldKind::Data);
        has.extend(computed.map(|field| &field.name));
        let known = known_values(rule, local);
        for validation in local.rules.iter().filter(|validation| validation.active) {
            let Ok(expression) = Expression::condition(&validation.condition, local) else { continue };
            let missing: Vec<&FieldName> =
                expression.fields().iter().filter(|field| !has.contains(field)).collect();
            let [first, ..] = missing.as_slice() else { continue };
            let names = missing.iter().map(|field| field.as_str()).collect::<Vec<_>>().join(", ");
            let settled = expression
                .fields()
                .iter()
                .all(|field| missing.contains(&field) || known.iter().any(|(name, _)| *name == field));
            let lookup =
                |field: &FieldName| known.iter().find(|(name, _)| *name == field).map(|(_, value)| value);
            let refuses = settled && expression.holds(lookup, Timestamp(0)).unwrap_or(true);
            let comes_later =
                if rule.mapping_of(first).is_some() { "come after it" } else { "have no mapping" };
            let text = if refuses {
                format!(
                    "every copy of {} will be refused by the rule {}: it reads {names}, which {comes_later}; accept \
                     with all fields in one, or change the rule",
                    rule.remote, validation.name
                )
            } else {
                format!(
                    "the rule {} reads {names}, which {comes_later} when a copy of {} is created: it may refuse the \
                     copy, or miss it; accept with all fields in one",
                    validation.name, rule.remote
                )
            };
            let code = if refuses { "create_set_refused" } else { "create_set_rule" };
            self.find(about, code, &validation.name, text, Some(open));
        }
    }
}

/// What an inbox view reads and the offers of active connections do not carry: a sentence for each.
#[must_use]
pub fn unseen_in_offers(state: &State, view: &InboxView) -> Vec<String> {
    let connections = state.connections.values().filter(|connection| connection.is_active());
    let rules =
        connections.flat_map(|connection| connection.subscribe.values().map(move |rule| (connection, rule)));
    rules.filter_map(|(connection, rule)| unseen(state, connection, rule, view)).collect()
}

/// What an inbox view reads and offers of one object do not carry (S2S-46), as a sentence.
fn unseen(state: &State, connection: &Connection, rule: &SubscribeRule, view: &InboxView) -> Option<String> {
    if view.object != rule.local {
        return None;
    }
    let open = view.open(state.object(&view.object)?).ok()?;
    let asked = if view.columns.is_empty() { open.chooses_by() } else { open.reads() };
    let unseen = not_carried(connection, rule, asked.into_iter());
    let unseen: Vec<&str> = unseen.iter().map(|(_, remote)| remote.as_str()).collect();
    let (partner, remote) = (connection.display_name(), &rule.remote);
    (!unseen.is_empty()).then(|| {
        format!(
            "the inbox view {} reads {}, which offers of {remote} from {partner} do not carry: ask {partner} for it \
             among the view_fields of the object",
            view.name,
            unseen.join(", ")
        )
    })
}

/// The view fields of an object here that its offers will not have by a rule (S2S-46): the field here, and
/// the partner's, which it publishes and does not list among its own view fields.
#[must_use]
pub fn not_in_offers(
    state: &State,
    connection: &Connection,
    rule: &SubscribeRule,
) -> Vec<(FieldName, FieldName)> {
    let listed = state.object(&rule.local).map_or(&[][..], |object| object.view_fields.as_slice());
    let found = not_carried(connection, rule, listed.iter());
    found.into_iter().map(|(local, remote)| (local.clone(), remote.clone())).collect()
}

/// Those of some fields here whose values the partner publishes, and does not send with its offers; with the
/// partner's fields. A partner that does not tell sends all.
fn not_carried<'a>(
    connection: &'a Connection,
    rule: &'a SubscribeRule,
    fields: impl Iterator<Item = &'a FieldName>,
) -> Vec<(&'a FieldName, &'a FieldName)> {
    let catalogue = connection.catalogue.get(&rule.remote);
    let Some((catalogue, carried)) = catalogue.and_then(|c| Some((c, c.view_fields.as_ref()?))) else {
        return Vec::new();
    };
    let is_unseen = |remote: &FieldName| catalogue.field(remote).is_some() && !carried.contains(remote);
    let mapped = fields.filter_map(|field| Some((field, rule.mapping_of(field)?.remote()?)));
    mapped.filter(|(_, remote)| is_unseen(remote)).collect()
}

/// The local values that every copy has at its creation, whatever the partner's record holds.
fn known_values<'r>(rule: &'r SubscribeRule, local: &'r ObjectSchema) -> Vec<(&'r FieldName, Value)> {
    let mut known: Vec<(&FieldName, Value)> = rule
        .constants()
        .filter_map(|(name, value)| Some((name, cast(value, local.field(name)?).ok()?)))
        .collect();
    let mapped = |name: &FieldName| rule.mapping_of(name).is_some();
    let defaults = local.fields.iter().filter(|field| !mapped(&field.name));
    known.extend(defaults.filter_map(|field| Some((&field.name, field.default.clone()?))));
    known
}

/// How many shares of an object, by the name of their origin, are as `wanted`.
fn count(
    connection: &Connection,
    object: &crate::ObjectName,
    role: ShareRole,
    wanted: impl Fn(&Share) -> bool,
) -> u64 {
    let of_object = connection.shares.values().filter(|share| share.role == role && share.object == *object);
    of_object.filter(|share| wanted(share)).count() as u64
}
