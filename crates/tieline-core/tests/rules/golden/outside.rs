//! One event of each kind that is about effects and notices, with every field set to something that
//! is not its default.

use tieline_core::effect::{Cause, Effect, Mail, Purpose};
use tieline_core::event::{
    DigestMade, EffectDropped, EffectEnded, EffectQueued, EffectRetried, Event, NoticeRaised,
    NoticeSettingsSet, NoticesRead,
};
use tieline_core::notice::{NoticeHook, NoticeKind, NoticeSettings};
use tieline_core::{EffectId, NoticeId};

use super::messages::{CONNECTION, RECORD};
use crate::kit::name;

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
    vec![
        EffectQueued { id, effect: Effect::Mail(mail), cause }.into(),
        EffectEnded { id, sent: true, attempts: 3, error: "refused".to_owned() }.into(),
        EffectRetried { id, actor: name("ann") }.into(),
        EffectDropped { id, actor: name("ann") }.into(),
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
    ]
}
