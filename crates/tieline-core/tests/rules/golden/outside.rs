//! One event of each kind that is about effects and notices, with every field set to something that
//! is not its default.

use tieline_core::effect::{Cause, Effect, Mail, Purpose};
use tieline_core::event::{
    DigestMade, EffectDropped, EffectEnded, EffectQueued, EffectRetried, Event, InquiryAnswered, InquirySent,
    InvitationDiscarded, InvitationPostponed, InvitationSaved, MailTemplateRemoved, MailTemplateSet,
    NoticeRaised, NoticeSettingsSet, NoticesRead, PostponementHeard, SecretChange, WebhookSecretChanged,
};
use tieline_core::inquiry::{InquiryAnswer, InquiryReply};
use tieline_core::invitation::{InvitationDetails, InvitedContact, ReceivedInvitation};
use tieline_core::mail_template::{MailPurpose, MailTemplate};
use tieline_core::notice::{NoticeHook, NoticeKind, NoticeSettings};
use tieline_core::{EffectId, InquiryId, NoticeId, RecordId};

use super::messages::{CONNECTION, MOMENT, RECORD};
use crate::kit::name;

pub(super) fn a_contact() -> InvitedContact {
    InvitedContact {
        record: RECORD,
        name: "Pat Ng".to_owned(),
        email: "pat@globex.example".to_owned(),
        account: Some(RecordId(9)),
        account_name: "Globex".to_owned(),
    }
}

fn invitations() -> Vec<Event> {
    let actor = || name("ann");
    let details = InvitationDetails {
        contact: RECORD,
        account: Some(RecordId(9)),
        owner: Some(name("bob")),
        label: "Globex".to_owned(),
        mail_template: Some(name("branded")),
        template: Some(name("standard")),
        expires_in_s: 86_400,
    };
    let template = MailTemplate {
        name: name("branded"),
        purpose: MailPurpose::Invitation,
        subject: "Hi".to_owned(),
        text: "{{connection_url}}".to_owned(),
        html: Some("<p>{{connection_url}}</p>".to_owned()),
    };
    let invitation = ReceivedInvitation {
        connection: CONNECTION,
        inviter: name("acme"),
        public_key: [2; 32],
        secret_hash: [1; 32],
        expires: MOMENT,
    };
    let answer = InquiryAnswer {
        reply: InquiryReply::Yes,
        org: Some(name("globex")),
        listed: true,
        note: "from May on".to_owned(),
        actor: actor(),
    };
    let id = InquiryId(13);
    vec![
        MailTemplateSet { template, actor: actor() }.into(),
        MailTemplateRemoved { name: name("branded"), actor: actor() }.into(),
        InvitationSaved { connection: CONNECTION, details, actor: actor() }.into(),
        InvitationDiscarded { connection: CONNECTION, actor: actor() }.into(),
        InvitationPostponed { invitation, actor: actor() }.into(),
        PostponementHeard { connection: CONNECTION, partner: name("globex"), user: name("gus") }.into(),
        InquirySent { id, contact: a_contact(), actor: actor() }.into(),
        InquiryAnswered { id, answer }.into(),
    ]
}

pub(super) fn samples() -> Vec<Event> {
    let mail = Mail {
        to: "pat@globex.example".to_owned(),
        from_name: "Ann of acme".to_owned(),
        reply_to: Some("ann@acme.example".to_owned()),
        subject: "Let us connect".to_owned(),
        text: "Hello".to_owned(),
        html: Some("<p>Hello</p>".to_owned()),
        invitation: Some(CONNECTION),
    };
    let cause = Cause {
        purpose: Purpose::Rule,
        connection: Some(CONNECTION),
        record: Some(RECORD),
        rule: Some("Hot".to_owned()),
        user: Some(name("ann")),
    };
    let id = EffectId(11);
    let settings = NoticeSettings {
        mail: false,
        webhook: Some(NoticeHook {
            url: "https://acme.example/hook".to_owned(),
            secret: Some(name("hooks")),
        }),
        digest_minutes: 5,
        muted: [NoticeKind::Alarm].into(),
    };
    let mut all = invitations();
    all.extend([
        EffectQueued { id, effect: Effect::Mail(mail), cause }.into(),
        EffectEnded { id, sent: true, attempts: 3, error: "refused".to_owned() }.into(),
        EffectRetried { id, actor: name("ann") }.into(),
        EffectDropped { id, actor: name("ann") }.into(),
        WebhookSecretChanged { name: name("hooks"), change: SecretChange::Rotated, actor: name("ann") }
            .into(),
        NoticeRaised {
            id: NoticeId(12),
            user: name("ann"),
            kind: NoticeKind::RecordDeleted,
            connection: Some(CONNECTION),
            record: Some(RECORD),
            text: "globex deleted it".to_owned(),
            waits: true,
        }
        .into(),
        NoticesRead { user: name("ann"), ids: vec![NoticeId(12)] }.into(),
        DigestMade { user: name("ann"), kinds: vec![NoticeKind::RecordDeleted] }.into(),
        NoticeSettingsSet { user: Some(name("ann")), settings: Some(settings), actor: name("bob") }.into(),
    ]);
    all
}
