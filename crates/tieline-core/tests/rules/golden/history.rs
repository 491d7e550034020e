//! One event of each kind that is about history, pauses and reports, with every field set to something
//! that is not its default.

use tieline_core::event::{
    ConflictNoted, ConnectionLabelled, ConnectionOwnerSet, Event, Loser, LostValue, PauseHeard, PauseSet,
    PauseTold, ReportRemoved, ReportSet, ShareHeldBack,
};
use tieline_core::frame::PauseWord;
use tieline_core::message::{Message, PauseNotice, PausedObject};
use tieline_core::report::{Function, Order, Report, Rows, Summary};
use tieline_core::value::Value;
use tieline_core::{Position, Seq};

use super::messages::{CONNECTION, MOMENT, RECORD, SHARE, a_stamp};
use crate::kit::name;

pub(super) fn samples() -> Vec<Event> {
    let lost = LostValue { value: Value::text("lost"), stamp: a_stamp() };
    vec![
        ConflictNoted {
            record: RECORD,
            object: name("Deal__c"),
            prev: Seq(4),
            connection: CONNECTION,
            share: SHARE,
            position: Position(9),
            loser: Loser::Theirs,
            fields: [(name("Name"), None), (name("Note"), Some(lost))].into_iter().collect(),
        }
        .into(),
        PauseSet { connection: CONNECTION, object: Some(name("Deal__c")), paused: true, actor: name("ann") }
            .into(),
        PauseHeard {
            connection: CONNECTION,
            word: PauseWord { rev: 3, since: Some(MOMENT), by: Some(name("bob")) },
        }
        .into(),
        ConnectionLabelled { connection: CONNECTION, label: "Globex sales".into(), actor: name("ann") }
            .into(),
        ConnectionOwnerSet { connection: CONNECTION, owner: name("bob"), actor: name("ann") }.into(),
        ReportSet { report: report(), actor: name("ann") }.into(),
        ReportRemoved { report: name("deals"), actor: name("ann") }.into(),
        PauseTold { connection: CONNECTION, position: Position(8), objects: vec![paused()] }.into(),
        ShareHeldBack { connection: CONNECTION, share: SHARE }.into(),
    ]
}

pub(super) fn messages() -> Vec<Message> {
    vec![PauseNotice { objects: vec![paused()] }.into()]
}

fn report() -> Report {
    Report {
        name: name("deals"),
        label: "Deals".to_owned(),
        object: name("Deal__c"),
        rows: Rows::Shares,
        connected: true,
        connection: Some("globex".to_owned()),
        filter: Some("Count > 3".to_owned()),
        since: Some("2026-01-31".to_owned()),
        until: Some("2026-02-28T12:00:00Z".to_owned()),
        last_days: Some(30),
        columns: vec!["Name".to_owned()],
        group_by: vec!["share.status".to_owned()],
        summaries: vec![Summary { function: Function::Sum, column: "Count".to_owned() }],
        sort: vec![Order { column: "Name".to_owned(), descending: true }],
    }
}

fn paused() -> PausedObject {
    PausedObject { object: name("Deal__c"), theirs: Some(name("Offer__c")), since: MOMENT, by: name("ann") }
}
