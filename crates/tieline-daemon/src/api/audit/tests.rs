//! What each kind of event says in an audit: who, and in which words.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;

use super::*;

/// One event of each kind, as the core keeps it for its own tests.
const EVENTS: &str = include_str!("../../../../tieline-core/tests/rules/golden/events.txt");

/// Kinds that stand in an audit: the action, and whether somebody of this org, the partner or nobody did it.
const TOLD: &[(&str, &str, &str)] = &[
    ("OrgCreated", "org made", ""),
    ("IncarnationStarted", "new life of the log", ""),
    ("UserAdded", "user set", ""),
    ("TokenIssued", "token issued", ""),
    ("ObjectDefined", "object defined", "user"),
    ("AlarmRaised", "alarm", ""),
    ("InvitationSent", "invited", "user"),
    ("InvitationAnswered", "invitation accepted", "user"),
    ("ConnectionEstablished", "established", "partner"),
    ("ConnectionDeclined", "declined", "partner"),
    ("InvitationRevoked", "revoked", "user"),
    ("ConnectionDeactivated", "deactivated", "user"),
    ("PartnerReincarnated", "partner restored", "partner"),
    ("ConnectionSuspended", "suspended", "user"),
    ("PublishRuleSet", "published", "user"),
    ("SubscribeRuleSet", "subscribed", "user"),
    ("ShareOffered", "offered", "user"),
    ("OfferReceived", "offer received", "partner"),
    ("OfferAnswered", "offer accepted", "user"),
    ("ShareGranted", "granted", "partner"),
    ("ShareRefused", "acceptance refused", "partner"),
    ("ShareLinked", "copy linked", "partner"),
    ("ShareClosed", "share ended", "user"),
    ("MessageSettled", "came through after all", "partner"),
    ("ReconcileAsked", "reconcile asked", "user"),
    ("ShareRestored", "share restored", "partner"),
    ("JobStarted", "job began", "user"),
    ("JobAdvanced", "job ended", "user"),
    ("SharingEnabled", "sharing enabled", "user"),
    ("OrgSettingsSet", "org set", "user"),
    ("UserSet", "user set", "user"),
    ("RoleSet", "role set", "user"),
    ("RoleRemoved", "role removed", "user"),
    ("GroupSet", "group set", "user"),
    ("GroupRemoved", "group removed", "user"),
    ("TokenCreated", "token issued", "user"),
    ("TokenRevoked", "token revoked", "user"),
    ("KeyAnnounced", "key announced", "user"),
    ("KeyConfirmed", "key in use", ""),
    ("PartnerKeyChanged", "partner's key changed", "partner"),
    ("EffectRetried", "effect tried again", "user"),
    ("EffectDropped", "effect dropped", "user"),
    ("NoticeSettingsSet", "notices set", "user"),
    ("MailTemplateSet", "mail template set", "user"),
    ("MailTemplateRemoved", "mail template removed", "user"),
    ("InvitationSaved", "invitation saved", "user"),
    ("InvitationDiscarded", "invitation discarded", "user"),
    ("InvitationPostponed", "to be decided later", "user"),
    ("PostponementHeard", "to be decided later", "partner"),
    ("QueueSet", "queue set", "user"),
    ("QueueRemoved", "queue removed", "user"),
    ("SharingRuleSet", "sharing rule set", "user"),
    ("AssignmentRuleSet", "assignment rule set", "user"),
    ("EscalationRuleSet", "escalation rule set", "user"),
    ("WorkflowRuleSet", "workflow rule set", "user"),
    ("RuleRemoved", "rule removed", "user"),
    ("RecordViewSet", "view set", "user"),
    ("RecordViewRemoved", "view removed", "user"),
    ("InboxViewSet", "inbox view set", "user"),
    ("InboxViewRemoved", "inbox view removed", "user"),
    ("ChildGranted", "task shared", "user"),
    ("DecisionSent", "value approved", "user"),
    ("AccountRuleSet", "account rule set", "user"),
    ("ConflictNoted", "conflict", "partner"),
    ("PauseSet", "paused", "user"),
    ("PauseHeard", "paused by the partner", "partner"),
    ("ReportSet", "report set", "user"),
    ("ReportRemoved", "report removed", "user"),
    ("ConnectionOwnerSet", "handed over", "user"),
    ("ConfigApplied", "configuration applied", "user"),
    ("TemplateSet", "connection template set", "user"),
    ("TemplateRemoved", "connection template removed", "user"),
    ("TemplateGiven", "template applied", "user"),
    ("CompanySet", "company set", "user"),
    ("OwnerMapSet", "owners mapped", "user"),
    ("ConversionMapSet", "conversion set", "user"),
    ("ObjectRemoved", "object removed", "user"),
    ("UserRemoved", "user removed", "user"),
    ("ConnectionLabelled", "labelled", "user"),
    ("WebhookSecretChanged", "webhook secret rotated", "user"),
];

/// The whole samples of all kinds, with their numbers.
fn samples() -> impl Iterator<Item = (u16, Vec<u8>)> {
    EVENTS.lines().filter_map(|line| {
        let mut parts = line.split(' ');
        let (kind, _, what, body) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let body = HEXLOWER.decode(body.as_bytes()).unwrap();
        (what == "full").then(|| (kind.parse().unwrap(), body))
    })
}

/// Every kind that belongs to an audit has words of its own there, and names who did it.
#[test]
fn each_kind_of_an_audit_is_told_in_words() {
    let expected: BTreeMap<&str, (&str, &str)> =
        TOLD.iter().map(|(name, action, who)| (*name, (*action, *who))).collect();
    let mut told: Vec<(&str, String, String)> = Vec::new();
    for (kind, body) in samples() {
        let stored = StoredEvent { seq: Seq(7), time: Timestamp(0), kind, body: &body, last_in_group: true };
        let event = Event::decode(kind, &body).unwrap();
        let name = Event::kind_name(kind);
        let found = match place_of(&event) {
            Place::Nowhere => continue,
            Place::Org => entries(stored, None),
            Place::Connection(id) => entries(stored, Some(id)),
        };
        let [entry] = found.as_slice() else { panic!("{name} is one entry: {found:?}") };
        assert_ne!(entry.action, name, "{name} has no words of its own: {entry:?}");
        let who = match entry.actor.as_deref() {
            Some("connection.user") => "partner",
            Some(_) => "user",
            None => "",
        };
        told.push((name, entry.action.clone(), who.to_owned()));
    }
    let differs: Vec<_> = told
        .iter()
        .filter(|(name, action, who)| expected.get(name) != Some(&(action.as_str(), who.as_str())))
        .collect();
    assert!(differs.is_empty(), "told otherwise: {differs:#?}");
    assert_eq!(told.len(), TOLD.len(), "each row is of a kind that is told");
}
