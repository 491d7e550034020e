//! One message of each kind, with every field set to something that is not its default, and the
//! parts that events are made of, too.

use tieline_core::content::Content;
use tieline_core::message::{
    AcceptOffer, Catalogue, Change, ChildGrant, DeclineOffer, EndReason, Grant, KeyAnnounced, Message, Offer,
    OutcomeDetail, OutcomeReport, OutcomeRun, OwnerNotice, ParentLink, Profile, ReconcileRequest, Recreate,
    Refuse, ReturnGrant, Settled, ShareEnded, ShareEntry, ShareStage, ShareStates, Snapshot, Subscription,
    SubscriptionNotice, ValueDecided, Void, WireReason,
};
use tieline_core::outcome::Outcome;
use tieline_core::publish::catalogue_object;
use tieline_core::reason::ReasonCode;
use tieline_core::value::{Date, Value};
use tieline_core::vecmap::VecMap;
use tieline_core::{ConnectionId, FieldName, OrgId, Position, RecordId, ShareId, Stamp, Timestamp};

use crate::kit::{deal, fields, name, publish_rule, values};

pub(super) const CONNECTION: ConnectionId = ConnectionId(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
pub(super) const SHARE: ShareId = ShareId(0xf0e0_d0c0_b0a0_9080_7060_5040_3020_1000);
pub(super) const RECORD: RecordId = RecordId(0x1111_2222_3333_4444_5555_6666_7777_8888);
pub(super) const MOMENT: Timestamp = Timestamp(1_700_000_000_000_001);

pub(super) fn samples() -> Vec<Message> {
    let (share, generation) = (SHARE, 2);
    let mut all: Vec<Message> = vec![
        Offer {
            share,
            generation,
            object: name("Deal__c"),
            record: RECORD,
            preview: a_preview(),
            hops: 1,
            links: parents(),
        }
        .into(),
        Grant { share, generation, object: name("Deal__c"), record: RECORD, content: a_content() }.into(),
        Snapshot {
            share,
            generation,
            content: a_content(),
            recreate: Some(Recreate { object: name("Deal__c"), record: RECORD, parents: parents() }),
            unseen_from: Some(MOMENT),
        }
        .into(),
        Change { share, generation, content: a_content(), hops: 3 }.into(),
        ShareEnded { share, generation, reason: EndReason::Converted }.into(),
        Void {}.into(),
        a_catalogue().into(),
        a_notice().into(),
        AcceptOffer { share, generation, whole: true }.into(),
        DeclineOffer { share, generation }.into(),
        Refuse { share, generation, code: ReasonCode::Taken }.into(),
        ReturnGrant { share, generation }.into(),
        OutcomeReport { upto: Position(9), runs: runs(), details: vec![a_detail()] }.into(),
        Settled { detail: a_detail(), recovered: true }.into(),
        states().into(),
        ReconcileRequest {}.into(),
        Profile { company: Some("Acme Group".to_owned()) }.into(),
        KeyAnnounced { public_key: [6; 32] }.into(),
        ChildGrant {
            share,
            generation,
            object: name("Task"),
            record: RECORD,
            content: a_content(),
            parents: parents(),
        }
        .into(),
        ValueDecided { share, position: Position(9), field: name("Note"), approved: true }.into(),
        OwnerNotice {
            share,
            generation,
            owner: Some(name("queue:emea")),
            hops: 1,
            written: Some(Stamp::new(MOMENT, OrgId(7))),
        }
        .into(),
    ];
    all.extend(super::history::messages());
    all
}

pub(super) fn parents() -> Vec<ParentLink> {
    vec![ParentLink { field: name("WhatId"), share: ShareId(3) }]
}

pub(super) fn a_stamp() -> Stamp {
    Stamp { rev: 2, reviser: OrgId(9), ..Stamp::new(MOMENT, OrgId(1 << 63)) }
}

/// A value of every type, and a field with a stamp of its own.
pub(super) fn a_content() -> Content {
    let all = values(&[
        ("Amount", Value::Decimal("12.50".parse().unwrap())),
        ("Closed", Value::Boolean(true)),
        ("Count", Value::Integer(-7)),
        ("Day", Value::Date(Date::from_days(19_675).unwrap())),
        ("Moment", Value::DateTime(MOMENT)),
        ("Name", Value::text("Ümläut")),
        ("Note", Value::Null),
        ("Parent", Value::Reference(RECORD)),
        ("Regions", Value::multi_picklist(["North".into(), "East".into()])),
        ("Stage", Value::picklist("Open".into())),
    ]);
    let mut content = Content::of(all, Stamp::new(MOMENT, OrgId(5)));
    content.set(name("Name"), Value::text("Ümläut"), a_stamp());
    content
}

pub(super) fn a_preview() -> VecMap<FieldName, Value> {
    values(&[("Stage", Value::picklist("Open".into()))])
}

pub(super) fn a_catalogue() -> Catalogue {
    let rule = publish_rule(&name("Deal__c"), &["Name", "Stage"]);
    Catalogue { full: true, objects: vec![catalogue_object(&deal(), &rule)], removed: vec![name("Old__c")] }
}

pub(super) fn a_notice() -> SubscriptionNotice {
    let taken = Subscription {
        object: name("Deal__c"),
        local: name("Offer__c"),
        fields: fields(&["Name", "Note"]),
        version: 4,
    };
    SubscriptionNotice { full: true, objects: vec![taken], removed: vec![name("Old__c")] }
}

pub(super) fn runs() -> Vec<OutcomeRun> {
    Outcome::ALL.into_iter().zip(1..).map(|(outcome, count)| OutcomeRun { outcome, count }).collect()
}

pub(super) fn a_detail() -> OutcomeDetail {
    let reasons = vec![WireReason { code: ReasonCode::OlderStamp, field: Some(name("Note")) }];
    OutcomeDetail { position: Position(9), outcome: Outcome::Superseded, share: Some(SHARE), reasons }
}

pub(super) fn states() -> ShareStates {
    let entry = ShareEntry {
        share: SHARE,
        generation: 2,
        stage: ShareStage::Ended,
        origin: true,
        record: Some(RECORD),
        parents: parents(),
        ended: Some(EndReason::Stopped),
        taken: [(name("Note"), a_stamp())].into_iter().collect(),
    };
    ShareStates { after: Some(ShareId(1)), upto: Some(ShareId(2)), entries: vec![entry] }
}
