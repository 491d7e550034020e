//! A connection as the API shows it: in short for lists, and in full.

use serde::Serialize;
use tieline_core::decide::{contact_of, label_of};
use tieline_core::message::Subscription;
use tieline_core::outcome::Counts;
use tieline_core::state::{
    Connection, ConnectionStatus, OwnKeys, Pause, PostponedInvitation, SavedInvitation, Side, State,
};
use tieline_core::{ConnectionId, ObjectName, Timestamp};
use utoipa::ToSchema;

use super::Api;
use super::connections::ConnectionQuery;
use super::field_view::{CatalogueView, names};
use super::publish::PublishView;
use super::subscribe::SubscribeView;
use super::templates::GivenTemplateView;
use crate::clock::now;
use crate::lag::{LagKind, LagSummary, Lags};
use crate::org::LinkStatus;

/// A connection in short.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConnectionSummary {
    /// Its id, the same on both sides.
    pub(crate) id: String,
    /// The partner, once it is known.
    pub(crate) partner: Option<String>,
    /// The company of the partner, if it says so.
    partner_company: Option<String>,
    /// Whether that is the company of this org, too.
    same_company: bool,
    /// What it is called here.
    pub(crate) label: String,
    /// `inviter` or `invited`: which side this org is.
    side: &'static str,
    /// `pending`, `active`, `declined`, `revoked` or `deactivated`; or, of what is no connection yet, `saved`
    /// (not sent) and `postponed` (of another org, to be decided on later).
    pub(crate) status: &'static str,
    /// Stopped until a person looks at it and resumes it.
    suspended: bool,
    /// What of it is paused, on either side.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pauses: Vec<PauseView>,
    /// The shares of both sides are being compared.
    reconciling: bool,
    /// Why nothing flows, if it is active and nothing does.
    pub(crate) cause: Option<String>,
    /// Who manages it here.
    owner: String,
    /// Who manages it there.
    partner_owner: Option<String>,
    /// The user who accepted, of the org that was invited (S2S-11).
    answered_by: Option<String>,
    /// The contact that was invited.
    contact: Option<String>,
    /// The name of the contact.
    contact_name: Option<String>,
    /// The address that the invitation went to.
    contact_email: Option<String>,
    /// The account that it is for.
    account: Option<String>,
    /// The name of the account.
    account_name: Option<String>,
    /// The connection template that it was given last.
    template: Option<String>,
    /// Who of which org told that it decides later.
    postponed_by: Option<String>,
    /// When it was made here.
    created: String,
    /// When the invitation ends.
    expires: Option<String>,
    /// When both sides had agreed, or when it was declined.
    answered: Option<String>,
    /// When it was deactivated.
    ended: Option<String>,
    /// Records shared over it, ended shares included.
    shares: usize,
    /// Messages that the partner has not confirmed.
    pub(crate) outbox_messages: usize,
    /// Messages that the partner has given out and that were not received here.
    pub(crate) inbox_messages: u64,
    /// How what the partner sent ended here.
    received: CountsView,
    /// How what this org sent ended at the partner, as far as it has told.
    sent: CountsView,
    /// How long changes of the partner took to be durable here.
    lag: LagSummary,
    /// The same for follow-ups.
    follow_up_lag: LagSummary,
    /// Failures at hand, of both directions: see `/v1/failures`.
    failures: usize,
    /// Values that were lost against others that their writers had not seen.
    conflicts: ConflictsView,
}

/// How many values were lost against others that their writers had not seen (S2S-51).
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct ConflictsView {
    /// Of this org, at the partner, as far as it has told.
    ours: u64,
    /// Of the partner, here.
    theirs: u64,
}

impl ConflictsView {
    fn of(connection: &Connection) -> Self {
        let all = connection.conflicts.values();
        Self { ours: all.clone().map(|c| c.ours).sum(), theirs: all.map(|c| c.theirs).sum() }
    }
}

/// Something that is paused (OPS-15).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PauseView {
    /// `us` or `partner`.
    side: &'static str,
    /// The object, by its name here if it has one; nothing means the whole connection.
    object: Option<String>,
    /// By whom.
    by: Option<String>,
    /// Since when.
    since: String,
}

impl PauseView {
    fn all(connection: &Connection) -> Vec<Self> {
        let pauses = &connection.pauses;
        let of_us = |object: Option<&ObjectName>, pause: &Pause| Self {
            side: "us",
            object: object.map(ToString::to_string),
            by: Some(pause.by.to_string()),
            since: pause.since.to_string(),
        };
        let mut all: Vec<Self> = pauses.ours.iter().map(|pause| of_us(None, pause)).collect();
        all.extend(pauses.objects.iter().map(|(object, pause)| of_us(Some(object), pause)));
        all.extend(pauses.partner.since.map(|since| Self {
            side: "partner",
            object: None,
            by: pauses.partner.by.as_ref().map(ToString::to_string),
            since: since.to_string(),
        }));
        all.extend(pauses.partner_objects.iter().map(|paused| Self {
            side: "partner",
            object: Some(paused.theirs.as_ref().unwrap_or(&paused.object).to_string()),
            by: Some(paused.by.to_string()),
            since: paused.since.to_string(),
        }));
        all
    }
}

/// A connection in full.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConnectionView {
    /// It in short.
    summary: ConnectionSummary,
    /// Why it was declined or refused.
    declined: Option<String>,
    /// This org's log has had a new life: the partner may know shares that were forgotten here.
    recovering: bool,
    /// The life of the partner's log.
    partner_incarnation: String,
    /// What this org publishes.
    publish: Vec<PublishView>,
    /// What this org takes.
    subscribe: Vec<SubscribeView>,
    /// What the partner publishes.
    catalogue: Vec<CatalogueView>,
    /// What the partner takes.
    taken: Vec<TakenView>,
    /// The template that it was given last.
    template: Option<GivenTemplateView>,
    /// This org's key of the connection.
    key: KeyView,
    /// What this org sends.
    outbox: OutboxView,
    /// What it receives.
    inbound: InboundView,
    /// The volatile side, while the connection is open.
    link: Option<LinkView>,
}

/// Whether two names are of one company: blanks and case aside.
fn is_same(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    plain(one) == plain(other)
}

/// Where a change of this org's key stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyView {
    /// The key that this org seals with; 0 is the key of the org, with which every connection begins.
    number: u32,
    /// A newer key, which the partner was told and has not used yet.
    announced: Option<u32>,
    /// The key before opens frames until then.
    former_until: Option<String>,
}

impl From<&OwnKeys> for KeyView {
    fn from(keys: &OwnKeys) -> Self {
        let former = keys.former.filter(|former| former.at(now()).is_some());
        Self {
            number: keys.number(),
            announced: keys.announced.map(|key| key.number),
            former_until: former.map(|former| former.until.to_string()),
        }
    }
}

/// What a partner takes of an object of this org.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TakenView {
    /// This org's object.
    object: String,
    /// The partner's object that it becomes.
    local: String,
    /// The fields that are taken.
    fields: Vec<String>,
}

/// How many changes went one way, and how they ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CountsView {
    /// Changes whose outcome is known: the sum of the others.
    received: u64,
    /// At least one field was written, or the share took its new status.
    applied: u64,
    /// What came is what was there.
    unchanged: u64,
    /// A later value was there.
    superseded: u64,
    /// Not subscribed, not shared any more, or withheld by the sender.
    filtered: u64,
    /// Cannot be tried yet.
    held: u64,
    /// Refused, with reasons.
    rejected: u64,
}

/// One direction: from this org to the partner.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutboxView {
    /// The last position given out.
    head: u64,
    /// The partner durably has everything up to here.
    receipt: u64,
    /// Outcomes are known up to here.
    told: u64,
    /// Counted messages sent in this pair of incarnations.
    counted: u64,
}

/// The other direction.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InboundView {
    /// The last position received.
    received: u64,
    /// Outcomes that the partner has not been told.
    unreported: usize,
}

/// The volatile side of a connection.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinkView {
    /// Milliseconds since the partner was last heard.
    heard_ms_ago: Option<i64>,
    /// The partner has confirmed everything up to here.
    confirmed: u64,
    /// Sealed bytes under way that the partner has not confirmed.
    in_flight_bytes: usize,
    /// The partner's clock less this org's, in milliseconds, network time included.
    clock_offset_ms: f64,
}

impl From<&Counts> for CountsView {
    fn from(counts: &Counts) -> Self {
        let Counts { received, applied, unchanged, superseded, filtered, held, rejected } = *counts;
        Self { received, applied, unchanged, superseded, filtered, held, rejected }
    }
}

impl From<&Subscription> for TakenView {
    fn from(taken: &Subscription) -> Self {
        Self {
            object: taken.object.to_string(),
            local: taken.local.to_string(),
            fields: names(&taken.fields),
        }
    }
}

impl ConnectionSummary {
    pub(crate) fn of(api: &Api, state: &State, connection: &Connection) -> Self {
        let own = state.org.as_ref().and_then(|org| org.company.as_deref());
        let theirs = connection.partner_company.as_deref();
        let contact = connection.contact.as_ref();
        let link = api.org.link(connection.id).unwrap_or_default();
        let lag = |kind| api.org.observer().lags().summary(connection.id, kind);
        Self {
            id: connection.id.to_string(),
            partner: connection.partner.as_ref().map(ToString::to_string),
            partner_company: theirs.map(str::to_owned),
            same_company: own.zip(theirs).is_some_and(|(own, theirs)| is_same(own, theirs)),
            label: connection.label.clone(),
            side: match connection.side {
                Side::Inviter => "inviter",
                Side::Invited => "invited",
            },
            status: connection.status.as_str(),
            suspended: connection.suspended,
            pauses: PauseView::all(connection),
            reconciling: connection.reconciling,
            cause: cause(api, connection),
            owner: connection.owner.to_string(),
            partner_owner: connection.partner_owner.as_ref().map(ToString::to_string),
            answered_by: connection.answered_by.as_ref().map(ToString::to_string),
            contact: contact.map(|contact| contact.record.to_string()),
            contact_name: contact.map(|contact| contact.name.clone()),
            contact_email: contact.map(|contact| contact.email.clone()),
            account: contact.and_then(|contact| contact.account).map(|id| id.to_string()),
            account_name: contact.map(|contact| contact.account_name.clone()),
            template: connection.template.as_ref().map(|given| given.template.to_string()),
            postponed_by: connection.postponed.as_ref().map(|p| format!("{} of {}", p.user, p.partner)),
            created: connection.created.to_string(),
            expires: connection.expires.map(|time| time.to_string()),
            answered: connection.answered.map(|time| time.to_string()),
            ended: connection.ended.map(|time| time.to_string()),
            shares: connection.shares.len(),
            outbox_messages: outbox_messages(connection, &link),
            inbox_messages: link.inbox_depth,
            received: (&connection.inbound.counts).into(),
            sent: (&connection.outbox.outcomes).into(),
            lag: lag(LagKind::Propagation),
            follow_up_lag: lag(LagKind::FollowUp),
            failures: connection.failures.len(),
            conflicts: ConflictsView::of(connection),
        }
    }
}

impl ConnectionSummary {
    /// What is no connection yet: nothing of it has happened.
    fn none(id: ConnectionId, side: &'static str, status: &'static str, created: Timestamp) -> Self {
        let no_lag = || Lags::default().summary(id, LagKind::Propagation);
        Self {
            id: id.to_string(),
            partner: None,
            partner_company: None,
            same_company: false,
            label: String::new(),
            side,
            status,
            suspended: false,
            pauses: Vec::new(),
            reconciling: false,
            cause: None,
            owner: String::new(),
            partner_owner: None,
            answered_by: None,
            contact: None,
            contact_name: None,
            contact_email: None,
            account: None,
            account_name: None,
            template: None,
            postponed_by: None,
            created: created.to_string(),
            expires: None,
            answered: None,
            ended: None,
            shares: 0,
            outbox_messages: 0,
            inbox_messages: 0,
            received: (&Counts::default()).into(),
            sent: (&Counts::default()).into(),
            lag: no_lag(),
            follow_up_lag: no_lag(),
            failures: 0,
            conflicts: ConflictsView::default(),
        }
    }

    /// An invitation that was saved and not sent.
    pub(crate) fn saved(state: &State, id: ConnectionId, saved: &SavedInvitation) -> Self {
        let details = &saved.details;
        let contact = contact_of(state, details.contact, details.account).ok();
        let contact = contact.as_ref();
        Self {
            label: contact.map_or_else(|| details.label.clone(), |contact| label_of(details, contact)),
            owner: details.owner.as_ref().unwrap_or(&saved.actor).to_string(),
            contact: Some(details.contact.to_string()),
            contact_name: contact.map(|contact| contact.name.clone()),
            contact_email: contact.map(|contact| contact.email.clone()),
            account: contact.and_then(|contact| contact.account).map(|id| id.to_string()),
            account_name: contact.map(|contact| contact.account_name.clone()),
            template: details.template.as_ref().map(ToString::to_string),
            ..Self::none(id, "inviter", "saved", saved.created)
        }
    }

    /// An invitation of another org that will be decided on later.
    pub(crate) fn postponed(id: ConnectionId, postponed: &PostponedInvitation) -> Self {
        Self {
            partner: Some(postponed.invitation.inviter.to_string()),
            owner: postponed.actor.to_string(),
            expires: Some(postponed.invitation.expires.to_string()),
            ..Self::none(id, "invited", "postponed", postponed.time)
        }
    }

    /// Whether it is one of those that were asked for.
    pub(crate) fn is_meant(&self, query: &ConnectionQuery) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        let has = |wanted: &Option<String>, found: &[&Option<String>]| {
            wanted.as_ref().is_none_or(|wanted| found.iter().any(|found| found.as_ref() == Some(wanted)))
        };
        let texts = [
            Some(&self.label),
            self.partner.as_ref(),
            self.contact_name.as_ref(),
            self.contact_email.as_ref(),
            self.account_name.as_ref(),
        ];
        let search = query.search.as_ref().map(|text| text.to_lowercase());
        is(&query.status, self.status)
            && is(&query.side, self.side)
            && is(&query.owner, &self.owner)
            && has(&query.partner, &[&self.partner])
            && has(&query.contact, &[&self.contact, &self.contact_name, &self.contact_email])
            && has(&query.account, &[&self.account, &self.account_name])
            && search
                .is_none_or(|search| texts.iter().flatten().any(|text| text.to_lowercase().contains(&search)))
    }
}

/// Messages that the partner has not confirmed. The log notes receipts once a second at most; the
/// link has the newest.
pub(crate) fn outbox_messages(connection: &Connection, link: &LinkStatus) -> usize {
    let outbox = &connection.outbox;
    let confirmed = link.confirmed.0.saturating_sub(outbox.receipt.position.0);
    outbox.entries.len().saturating_sub(usize::try_from(confirmed).unwrap_or(usize::MAX))
}

/// Why nothing flows over a connection that is active; nothing if all is well.
pub(crate) fn cause(api: &Api, connection: &Connection) -> Option<String> {
    if connection.status != ConnectionStatus::Active {
        return None;
    }
    if connection.suspended {
        return Some("it is suspended: look at its alarm and resume it".to_owned());
    }
    match api.org.link(connection.id) {
        Some(link) => link.cause,
        None => Some("it is not open yet".to_owned()),
    }
}

impl ConnectionView {
    pub(crate) fn of(api: &Api, state: &State, connection: &Connection) -> Self {
        let (outbox, inbound) = (&connection.outbox, &connection.inbound);
        let given = connection.template.as_ref();
        Self {
            summary: ConnectionSummary::of(api, state, connection),
            declined: connection.declined.clone(),
            recovering: connection.recovering,
            partner_incarnation: connection.partner_incarnation.to_string(),
            publish: connection.publish.values().map(PublishView::from).collect(),
            subscribe: connection
                .subscribe
                .values()
                .map(|rule| SubscribeView::of(connection, rule))
                .collect(),
            catalogue: connection.catalogue.values().map(CatalogueView::from).collect(),
            taken: connection.taken.values().map(TakenView::from).collect(),
            template: given.map(|given| GivenTemplateView::of(state, connection, given)),
            key: (&connection.own_keys).into(),
            outbox: OutboxView {
                head: outbox.head().position.0,
                receipt: outbox.receipt.position.0,
                told: outbox.told.0,
                counted: outbox.counted,
            },
            inbound: InboundView {
                received: inbound.received.position.0,
                unreported: inbound.unreported.len(),
            },
            link: LinkView::of(api, connection.id),
        }
    }
}

impl LinkView {
    fn of(api: &Api, connection: ConnectionId) -> Option<Self> {
        let link = api.org.link(connection)?;
        Some(Self {
            heard_ms_ago: link.heard.map(|heard| now().since_us(heard) / 1_000),
            confirmed: link.confirmed.0,
            in_flight_bytes: link.in_flight_bytes,
            clock_offset_ms: link.clock_offset_us as f64 / 1_000.0,
        })
    }
}
