//! The events of an org's log, with their numbers. An event is a fact: `apply` folds it and
//! cannot fail; nothing is ever decided again from it.
//!
//! Positions in an event say which messages it made: the message is built from the event each
//! time that it is sent (`outbox`), masked by the publish rules of that moment.

mod automation;
mod config;
mod connection;
mod drift;
mod effect;
mod handover;
mod history;
mod inquiry;
mod invitation;
mod key;
mod link;
mod message;
mod notice;
mod org;
mod pause;
mod people;
mod profile;
mod record;
mod report;
mod request;
mod share;
mod template;
mod view;

pub use automation::{
    AssignmentRuleSet, ComputationFailed, Escalated, EscalationAdvanced, EscalationRuleSet, QueueRemoved,
    QueueSet, RuleFailed, RuleRemoved, RuleShared, SharingRuleSet, WorkflowRuleSet,
};
pub use config::ConfigApplied;
pub use connection::{
    CatalogueSent, ConnectionDeactivated, ConnectionDeclined, ConnectionEstablished, ConnectionSuspended,
    InvitationAnswered, InvitationRevoked, InvitationSent, PartnerReincarnated, PublishRuleSet, ReceiptNoted,
    ReconcileAsked, SubscribeRuleSet, SubscriptionSent,
};
pub use drift::{DriftNoted, InputsKept, UnmappedSeen};
pub use effect::{
    EffectDropped, EffectEnded, EffectQueued, EffectRetried, SecretChange, WebhookSecretChanged,
};
pub use handover::{ConnectionLabelled, ConnectionOwnerSet, OwnerHeard, OwnerHeld, OwnerMapSet, OwnerTold};
pub use history::{ConflictNoted, Loser, LostValue};
pub use inquiry::{InquiryAnswered, InquirySent};
pub use invitation::{
    InvitationDiscarded, InvitationPostponed, InvitationSaved, MailTemplateRemoved, MailTemplateSet,
    PostponementHeard,
};
pub use key::{KeyAnnounced, KeyConfirmed, PartnerKeyChanged};
pub use link::{HoldChanged, LinksAwaited};
pub use message::{MessageSettled, OutcomesReported, Received, SettledSent};
pub use notice::{DigestMade, NoticeRaised, NoticeSettingsSet, NoticesRead};
pub use org::{
    AlarmRaised, IncarnationCause, IncarnationStarted, JobAdvanced, JobEnd, JobStarted, ObjectDefined,
    ObjectRemoved, OrgCreated, TokenIssued, UserAdded,
};
pub use pause::{PauseHeard, PauseSet, PauseTold, ShareHeldBack};
pub use people::{
    GroupRemoved, GroupSet, OrgSettingsSet, RoleRemoved, RoleSet, SharingEnabled, TokenCreated, TokenRevoked,
    UserRemoved, UserSet,
};
pub use profile::{CompanySet, ProfileSent};
pub use record::{Delivery, Origin, PendingValue, RecordAction, RecordChanged, ValuesPending};
pub use report::{ReportRemoved, ReportSet};
pub use request::RequestAnswered;
pub use share::{
    AccountRuleSet, ChildGranted, Closing, ConversionMapSet, DecisionSent, GrantRequested, OfferAnswered,
    OfferReceived, ShareClosed, ShareGranted, ShareHeard, ShareLinked, ShareOffered, ShareRefused,
    ShareRestored, ShareStatesSent, SnapshotSent,
};
pub use view::{InboxViewRemoved, InboxViewSet, RecordViewRemoved, RecordViewSet};

pub use template::{TemplateGiven, TemplateRemoved, TemplateSet};

use crate::codec::numbered_kinds;

numbered_kinds! {
    /// One fact in the log.
    Event {
        1 OrgCreated,
        2 IncarnationStarted,
        3 UserAdded,
        4 TokenIssued,
        5 ObjectDefined,
        6 AlarmRaised,
        10 InvitationSent,
        11 InvitationAnswered,
        12 ConnectionEstablished,
        13 ConnectionDeclined,
        14 InvitationRevoked,
        15 ConnectionDeactivated,
        16 PartnerReincarnated,
        17 ReceiptNoted,
        18 ConnectionSuspended,
        20 PublishRuleSet,
        21 SubscribeRuleSet,
        22 CatalogueSent,
        23 SubscriptionSent,
        30 RecordChanged by_hand,
        31 ValuesPending,
        40 ShareOffered,
        41 OfferReceived,
        42 OfferAnswered,
        43 ShareGranted,
        44 ShareRefused,
        45 ShareLinked,
        46 ShareClosed,
        47 SnapshotSent,
        48 GrantRequested,
        49 ShareStatesSent,
        55 ShareRestored,
        56 ShareHeard,
        50 Received by_hand,
        51 MessageSettled,
        52 OutcomesReported,
        53 SettledSent,
        54 ReconcileAsked,
        60 JobStarted,
        61 JobAdvanced,
        100 SharingEnabled,
        101 OrgSettingsSet,
        102 UserSet,
        103 RoleSet,
        104 RoleRemoved,
        105 GroupSet,
        106 GroupRemoved,
        107 TokenCreated,
        108 TokenRevoked,
        120 RequestAnswered,
        121 KeyAnnounced,
        122 KeyConfirmed,
        123 PartnerKeyChanged,
        170 QueueSet,
        171 QueueRemoved,
        172 SharingRuleSet,
        173 AssignmentRuleSet,
        174 EscalationRuleSet,
        175 WorkflowRuleSet,
        176 RuleRemoved,
        177 RuleShared,
        178 RuleFailed,
        179 Escalated,
        180 EscalationAdvanced,
        150 LinksAwaited,
        151 HoldChanged,
        152 InputsKept,
        153 DriftNoted,
        154 UnmappedSeen,
        190 RecordViewSet,
        191 RecordViewRemoved,
        192 InboxViewSet,
        193 InboxViewRemoved,
        194 ChildGranted,
        196 DecisionSent,
        197 AccountRuleSet,
        130 EffectQueued,
        131 EffectEnded,
        132 EffectRetried,
        133 EffectDropped,
        134 NoticeRaised,
        135 NoticesRead,
        136 DigestMade,
        137 NoticeSettingsSet,
        138 MailTemplateSet,
        139 MailTemplateRemoved,
        140 InvitationSaved,
        141 InvitationDiscarded,
        142 InvitationPostponed,
        143 PostponementHeard,
        144 InquirySent,
        145 InquiryAnswered,
        210 ConflictNoted,
        211 PauseSet,
        212 PauseHeard,
        213 PauseTold,
        214 ReportSet,
        215 ReportRemoved,
        216 ConnectionOwnerSet,
        230 ConfigApplied,
        231 TemplateSet,
        232 TemplateRemoved,
        233 TemplateGiven,
        234 CompanySet,
        235 ProfileSent,
        250 OwnerTold,
        251 OwnerHeard,
        252 OwnerMapSet,
        253 ConversionMapSet,
        280 ObjectRemoved,
        281 UserRemoved,
        282 ConnectionLabelled,
        283 ComputationFailed,
        290 ShareHeldBack,
        295 OwnerHeld,
        310 WebhookSecretChanged,
    }
}
