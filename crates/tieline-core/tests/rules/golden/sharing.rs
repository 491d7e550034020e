//! One event of each kind that is about views and about sharing by people, with every field set to
//! something that is not its default.

use tieline_core::Position;
use tieline_core::account::AccountRule;
use tieline_core::conversion::ConversionMap;
use tieline_core::event::{
    AccountRuleSet, ChildGranted, ConversionMapSet, DecisionSent, Event, InboxViewRemoved, InboxViewSet,
    OwnerHeard, OwnerHeld, OwnerMapSet, OwnerTold, RecordViewRemoved, RecordViewSet,
};
use tieline_core::message::ValueDecided;
use tieline_core::owner_map::OwnerMap;
use tieline_core::sharing::{Forwarding, TaskChoice};
use tieline_core::view::{Audience, InboxView, RecordView, Sort};

use super::messages::{CONNECTION, RECORD, SHARE, a_content, parents};
use crate::kit::{fields, name};

pub(super) const fn a_forwarding() -> Forwarding {
    Forwarding { many: true, tasks: TaskChoice::Open, new_tasks: true }
}

pub(super) fn samples() -> Vec<Event> {
    let audience = Audience {
        users: [name("bob")].into(),
        groups: [name("emea")].into(),
        roles: [name("sales")].into(),
    };
    let sort = Some(Sort { field: name("Name"), descending: true });
    let filter = Some("Count > 1".to_owned());
    let records = RecordView {
        name: name("hot"),
        label: "Hot".to_owned(),
        object: name("Deal__c"),
        filter: filter.clone(),
        mine: true,
        columns: fields(&["Name"]),
        sort: sort.clone(),
        audience: audience.clone(),
    };
    let inbox = InboxView {
        name: name("hot"),
        label: "Hot".to_owned(),
        object: name("Deal__c"),
        filter,
        columns: fields(&["SentDate"]),
        sort,
        audience,
    };
    let written = tieline_core::Stamp::new(super::messages::MOMENT, tieline_core::OrgId(7));
    vec![
        RecordViewSet { view: records, actor: name("ann") }.into(),
        RecordViewRemoved { view: name("hot"), actor: name("ann") }.into(),
        InboxViewSet { view: inbox, actor: name("ann") }.into(),
        InboxViewRemoved { view: name("hot"), actor: name("ann") }.into(),
        ChildGranted {
            connection: CONNECTION,
            share: SHARE,
            generation: 2,
            record: RECORD,
            object: name("Task"),
            content: a_content(),
            parents: parents(),
            position: Position(5),
            links: [(name("WhatId"), SHARE)].into_iter().collect(),
            actor: name("ann"),
        }
        .into(),
        AccountRuleSet {
            connection: CONNECTION,
            object: name("Contact"),
            rule: Some(AccountRule { create: false, ..AccountRule::default() }),
            actor: name("ann"),
        }
        .into(),
        OwnerTold {
            connection: CONNECTION,
            share: SHARE,
            generation: 2,
            object: name("Deal__c"),
            owner: name("queue:emea"),
            hops: 1,
            position: Position(5),
            written: Some(written),
        }
        .into(),
        OwnerHeard {
            connection: CONNECTION,
            share: SHARE,
            owner: name("bob"),
            unmapped: true,
            written: Some(written),
        }
        .into(),
        OwnerHeld { connection: CONNECTION, share: SHARE }.into(),
        OwnerMapSet {
            connection: CONNECTION,
            owners: OwnerMap {
                users: [(name("bob"), name("queue:emea"))].into(),
                default: Some(name("ann")),
            },
            actor: name("ann"),
        }
        .into(),
        ConversionMapSet {
            map: ConversionMap {
                account: Some([(name("Name"), name("Company"))].into()),
                contact: Some([(name("LastName"), name("LastName"))].into()),
                opportunity: Some([(name("LeadSource"), name("LeadSource"))].into()),
            },
            actor: name("ann"),
        }
        .into(),
        DecisionSent {
            connection: CONNECTION,
            position: Position(5),
            decided: ValueDecided {
                share: SHARE,
                position: Position(9),
                field: name("Note"),
                approved: true,
            },
            actor: name("ann"),
        }
        .into(),
    ]
}
