//! One event of each kind that is about queues and rules, with every field set to something that is
//! not its default.

use tieline_core::automation::Queue;
use tieline_core::event::{Event, QueueRemoved, QueueSet};

use super::messages::CONNECTION;
use crate::kit::name;

pub(super) fn samples() -> Vec<Event> {
    let queue = Queue {
        name: name("emea"),
        label: "EMEA".to_owned(),
        objects: [name("Deal__c")].into(),
        users: [name("bob")].into(),
        groups: [name("sales")].into(),
        roles: [name("standard")].into(),
        connections: [CONNECTION].into(),
    };
    vec![
        QueueSet { queue, actor: name("ann") }.into(),
        QueueRemoved { queue: name("emea"), actor: name("ann") }.into(),
    ]
}
