//! One event of each kind, with every field set to something that is not its default.

use tieline_core::command::Reply;
use tieline_core::drift::{Change, FieldChange};
use tieline_core::event::{
    AlarmRaised, CatalogueSent, Closing, CompanySet, ConfigApplied, ConnectionDeactivated,
    ConnectionDeclined, ConnectionEstablished, ConnectionSuspended, Delivery, DriftNoted, Event,
    GrantRequested, HoldChanged, IncarnationCause, IncarnationStarted, InputsKept, InvitationAnswered,
    InvitationRevoked, InvitationSent, JobAdvanced, JobEnd, JobStarted, KeyAnnounced, KeyConfirmed,
    LinksAwaited, MessageSettled, ObjectDefined, OfferAnswered, OfferReceived, OrgCreated, Origin,
    OutcomesReported, PartnerKeyChanged, PartnerReincarnated, PendingValue, ProfileSent, PublishRuleSet,
    ReceiptNoted, Received, ReconcileAsked, RecordAction, RecordChanged, RequestAnswered, SettledSent,
    ShareClosed, ShareGranted, ShareHeard, ShareLinked, ShareOffered, ShareRefused, ShareRestored,
    ShareStatesSent, SnapshotSent, SubscribeRuleSet, SubscriptionSent, TemplateGiven, TemplateRemoved,
    TemplateSet, TokenIssued, UnmappedSeen, UserAdded, ValuesPending,
};
use tieline_core::frame::Chain;
use tieline_core::job::JobKind;
use tieline_core::message::{EndReason, Recreate};
use tieline_core::outcome::Outcome;
use tieline_core::reason::{Reason, ReasonCode};
use tieline_core::schema::{FieldSchema, FieldType, ObjectSchema, RecordType, ValidationRule};
use tieline_core::template::{ConnectionTemplate, RuleFate};
use tieline_core::value::Value;
use tieline_core::vecmap::VecMap;
use tieline_core::{AssignTo, FieldName, Incarnation, JobId, Position, Seq, ShareId};

use super::messages::{
    CONNECTION, MOMENT, RECORD, SHARE, a_catalogue, a_content, a_detail, a_notice, a_preview, a_stamp,
    parents, runs, states,
};
use super::sharing::a_forwarding;
use crate::kit::{deals_from_offers, fields, name, publish_rule};

/// The events that pass with every change, without what is seldom in them.
pub(super) fn usual() -> Vec<Event> {
    let without = |event: Event| match event {
        Event::RecordChanged(e) => Some(
            RecordChanged { origins: VecMap::empty(), received: VecMap::empty(), rule: None, ..e }.into(),
        ),
        Event::Received(e) => {
            Some(Received { reasons: Vec::new(), held_until: None, parent: None, ..e }.into())
        }
        _ => None,
    };
    samples().into_iter().filter_map(without).collect()
}

pub(super) fn samples() -> Vec<Event> {
    let mut all = org();
    all.extend(super::people::samples());
    all.extend(super::automation::samples());
    all.extend(super::sharing::samples());
    all.extend(super::outside::samples());
    all.extend(super::history::samples());
    all.extend(templates());
    all.push(ConfigApplied { commands: 3, before: [8; 32], after: [9; 32], actor: name("ann") }.into());
    all.extend(connections());
    all.extend(records());
    all.extend(shares());
    all.extend(partners_words());
    all
}

fn templates() -> Vec<Event> {
    let (template, actor) = (name("partners"), name("ann"));
    let rules = [
        ("publish.Deal__c".to_owned(), RuleFate::Applied),
        ("subscribe.Offer__c".to_owned(), RuleFate::Waits),
        ("subscribe.Other__c".to_owned(), RuleFate::Refused("no".to_owned())),
    ];
    let definition = ConnectionTemplate {
        name: name("partners"),
        publish: [(name("Deal__c"), publish_rule(&name("Deal__c"), &["Name"]))].into(),
        subscribe: [(name("Offer__c"), deals_from_offers())].into(),
    };
    vec![
        TemplateSet { template: definition, actor: name("ann") }.into(),
        TemplateRemoved { template: name("partners"), actor: name("ann") }.into(),
        CompanySet { company: Some("Acme Group".to_owned()), actor: name("ann") }.into(),
        ProfileSent { connection: CONNECTION, position: Position(6), company: Some("Acme Group".to_owned()) }
            .into(),
        TemplateGiven { connection: CONNECTION, template, rules: rules.into(), actor }.into(),
    ]
}

fn org() -> Vec<Event> {
    let rule = ValidationRule {
        name: "Named".to_owned(),
        condition: "isBlank(Name)".to_owned(),
        message: "Name the deal.".to_owned(),
        field: Some(name("Name")),
        active: true,
    };
    let schema = ObjectSchema {
        name: name("Deal__c"),
        label: "Deal".to_owned(),
        name_field: name("Name"),
        fields: vec![FieldSchema {
            length: Some(80),
            required: true,
            default: Some(Value::text("new")),
            ..FieldSchema::new(name("Name"), FieldType::Text)
        }],
        rules: vec![rule],
        create_set: fields(&["Name"]),
        view_fields: fields(&["Name"]),
        record_types: vec![RecordType {
            name: "Large".into(),
            label: "Large deal".into(),
            active: false,
            default: true,
            roles: [name("sales")].into(),
            picklists: [(name("Stage"), ["Open".into()].into())].into(),
        }],
        sharing_by_hand: false,
        version: 3,
    };
    let kind =
        JobKind::Backfill { connection: CONNECTION, object: name("Deal__c"), fields: fields(&["Note"]) };
    vec![
        OrgCreated { name: name("acme"), incarnation: Incarnation(1 << 70) }.into(),
        IncarnationStarted {
            incarnation: Incarnation(2 << 70),
            cause: IncarnationCause::TailLost,
            connection: Some(CONNECTION),
        }
        .into(),
        UserAdded { user: name("ann"), admin: true }.into(),
        TokenIssued { user: name("ann"), hash: [7; 32] }.into(),
        ObjectDefined { schema, actor: name("ann") }.into(),
        AlarmRaised {
            connection: Some(CONNECTION),
            code: "log_restored".to_owned(),
            message: "The log was restored.".to_owned(),
        }
        .into(),
        JobStarted { job: JobId(5), kind, actor: name("ann") }.into(),
        RequestAnswered {
            user: name("ann"),
            key: name("import-1/7"),
            fingerprint: [7; 16].into(),
            item: 3,
            reply: Reply::Record(RECORD),
        }
        .into(),
        JobAdvanced {
            job: JobId(5),
            cursor: Some(1 << 100),
            done: 2,
            skipped: 1,
            reasons: vec!["deleted".to_owned()],
            ended: Some(Box::new(JobEnd {
                connection: Some(CONNECTION),
                kind: "forward".into(),
                actor: name("ann"),
                done: 7,
                skipped: 2,
            })),
        }
        .into(),
    ]
}

fn connections() -> Vec<Event> {
    let connection = CONNECTION;
    vec![
        InvitationSent {
            connection,
            secret_hash: [1; 32],
            expires: MOMENT,
            owner: name("ann"),
            label: "Globex".to_owned(),
            contact: Some(super::outside::a_contact()),
            actor: Some(name("eve")),
        }
        .into(),
        InvitationAnswered {
            connection,
            inviter: name("acme"),
            public_key: [2; 32],
            secret_hash: [1; 32],
            accept: true,
            owner: name("bob"),
            label: "Acme".to_owned(),
            actor: Some(name("eve")),
        }
        .into(),
        ConnectionEstablished {
            connection,
            partner: name("globex"),
            public_key: [3; 32],
            incarnation: Incarnation(9),
            partner_owner: name("bob"),
            answered_by: Some(name("gus")),
        }
        .into(),
        ConnectionDeclined {
            connection,
            partner: Some(name("globex")),
            public_key: Some([3; 32]),
            code: "declined".to_owned(),
        }
        .into(),
        InvitationRevoked { connection, actor: name("ann") }.into(),
        ConnectionDeactivated { connection, actor: Some(name("ann")) }.into(),
        PartnerReincarnated { connection, incarnation: Incarnation(10) }.into(),
        ReceiptNoted { connection, position: Position(12) }.into(),
        ConnectionSuspended { connection, suspended: true, actor: Some(name("ann")) }.into(),
        PublishRuleSet {
            connection,
            object: name("Deal__c"),
            rule: Some(publish_rule(&name("Deal__c"), &["Name", "Note"])),
            actor: name("ann"),
        }
        .into(),
        SubscribeRuleSet {
            connection,
            object: name("Offer__c"),
            rule: Some(deals_from_offers()),
            actor: name("ann"),
        }
        .into(),
        CatalogueSent { connection, position: Position(1), catalogue: a_catalogue() }.into(),
        SubscriptionSent { connection, position: Position(2), notice: a_notice() }.into(),
        KeyAnnounced {
            connection,
            position: Position(3),
            number: 1,
            public_key: [6; 32],
            actor: Some(name("ann")),
        }
        .into(),
        KeyConfirmed { connection, number: 1, public_key: [6; 32], until: MOMENT }.into(),
        PartnerKeyChanged { connection, public_key: [6; 32], until: MOMENT }.into(),
    ]
}

fn a_delivery() -> Delivery {
    Delivery { connection: CONNECTION, share: SHARE, generation: 2, position: Position(3), links: links() }
}

fn changes() -> Vec<FieldChange> {
    let change = |field: &str, change| FieldChange { field: name(field), change };
    vec![
        change("Remark", Change::Removed { like: Some(name("Remarks")) }),
        change("Number", Change::Type { was: FieldType::Integer, is: FieldType::Text }),
        change("Phase", Change::Values { removed: vec!["one".into()], added: vec!["two".into()] }),
    ]
}

fn links() -> VecMap<FieldName, ShareId> {
    [(name("Parent"), SHARE)].into_iter().collect()
}

fn a_reason() -> Reason {
    Reason::new(ReasonCode::TooLong, "Note has 41 characters: shorten it")
        .on_field(&name("Note"))
        .by_rule("Short")
}

fn records() -> Vec<Event> {
    let origin = Origin { connection: CONNECTION, mapping: 4 };
    let pending = PendingValue {
        remote: name("Remark"),
        incoming: Value::text("too long"),
        stamp: a_stamp(),
        origin,
        position: Position(8),
        reasons: vec![a_reason()],
        approval: true,
        rejected: true,
        orphan: true,
    };
    vec![
        RecordChanged {
            record: RECORD,
            object: name("Deal__c"),
            action: RecordAction::Update,
            prev: Seq(4),
            actor: name("ann"),
            owner: Some(name("bob")),
            content: a_content(),
            origin: Some(origin),
            origins: [(name("Name"), None)].into_iter().collect(),
            received: [(name("Note"), a_stamp())].into_iter().collect(),
            deliveries: vec![a_delivery()],
            hops: 1,
            rule: Some(name("hot")),
        }
        .into(),
        InputsKept { connection: CONNECTION, share: SHARE, content: a_content() }.into(),
        DriftNoted { connection: CONNECTION, object: name("Offer__c"), ours: true, changes: changes() }
            .into(),
        UnmappedSeen {
            connection: CONNECTION,
            object: name("Offer__c"),
            values: vec![(name("Stage"), "four".into())],
        }
        .into(),
        LinksAwaited { record: RECORD, connection: CONNECTION, links: links() }.into(),
        ValuesPending {
            record: RECORD,
            values: [(name("Note"), Some(pending)), (name("Name"), None)].into_iter().collect(),
        }
        .into(),
    ]
}

fn shares() -> Vec<Event> {
    let (connection, share, generation) = (CONNECTION, SHARE, 2);
    let (record, object, position) = (RECORD, name("Deal__c"), Position(5));
    vec![
        ShareOffered {
            connection,
            share,
            generation,
            record,
            object: name("Deal__c"),
            preview: a_preview(),
            position,
            actor: name("ann"),
            how: a_forwarding(),
            hops: 1,
            links: [(name("Account__c"), SHARE)].into_iter().collect(),
        }
        .into(),
        OfferReceived {
            connection,
            share,
            generation,
            object,
            record,
            preview: a_preview(),
            parents: parents(),
            hops: 1,
            links: parents(),
        }
        .into(),
        OfferAnswered {
            connection,
            share,
            generation,
            accept: true,
            whole: true,
            record: Some(record),
            record_type: Some("Large".into()),
            owner: name("bob"),
            assign: Some(AssignTo::Rules),
            position,
        }
        .into(),
        ShareGranted {
            connection,
            share,
            generation,
            record,
            object: name("Deal__c"),
            content: a_content(),
            create_set: fields(&["Name"]),
            grant: position,
            follow_up: Some(position.next()),
            links: links(),
        }
        .into(),
        ShareRefused { connection, share, generation, code: ReasonCode::Taken, position }.into(),
        ShareLinked { connection, share, generation, record: Some(record), kept: Some(a_content()) }.into(),
        ShareClosed {
            connection,
            share,
            generation,
            closing: Closing::Ended(EndReason::Stopped),
            position: Some(position),
            actor: Some(name("ann")),
        }
        .into(),
        SnapshotSent {
            delivery: a_delivery(),
            object: name("Deal__c"),
            content: a_content(),
            recreate: Some(Recreate { object: name("Offer__c"), record, parents: parents() }),
            unseen_from: Some(MOMENT),
        }
        .into(),
        GrantRequested { connection, share, whole: true }.into(),
        ShareStatesSent { connection, position, states: states() }.into(),
        ShareRestored {
            connection,
            share,
            generation,
            object: name("Deal__c"),
            record,
            parents: parents(),
            how: a_forwarding(),
        }
        .into(),
        ShareHeard { connection, share, generation }.into(),
    ]
}

fn partners_words() -> Vec<Event> {
    let (connection, position) = (CONNECTION, Position(6));
    vec![
        Received {
            connection,
            position,
            seq: Seq(90),
            time: MOMENT,
            chain: Chain(1 << 60),
            kind: 4,
            body: vec![0x80],
            outcome: Some(Outcome::Held),
            share: Some(SHARE),
            record: Some(RECORD),
            reasons: vec![a_reason()],
            held_until: Some(MOMENT.plus_us(1)),
            parent: Some(SHARE),
        }
        .into(),
        MessageSettled {
            connection,
            position,
            outcome: Outcome::Superseded,
            recovered: true,
            share: Some(SHARE),
            reasons: vec![a_reason()],
        }
        .into(),
        OutcomesReported { connection, position, upto: Position(7), runs: runs(), details: vec![a_detail()] }
            .into(),
        SettledSent { connection, position, detail: a_detail(), recovered: true }.into(),
        ReconcileAsked { connection, position, actor: Some(name("ann")) }.into(),
        HoldChanged { connection, positions: vec![position], until: MOMENT, parent: Some(SHARE) }.into(),
    ]
}
