//! One event of each kind that is about views and about sharing by people, with every field set to
//! something that is not its default.

use tieline_core::event::{Event, InboxViewRemoved, InboxViewSet, RecordViewRemoved, RecordViewSet};
use tieline_core::view::{Audience, InboxView, RecordView, Sort};

use crate::kit::{fields, name};

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
    vec![
        RecordViewSet { view: records, actor: name("ann") }.into(),
        RecordViewRemoved { view: name("hot"), actor: name("ann") }.into(),
        InboxViewSet { view: inbox, actor: name("ann") }.into(),
        InboxViewRemoved { view: name("hot"), actor: name("ann") }.into(),
    ]
}
