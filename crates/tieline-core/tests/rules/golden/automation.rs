//! One event of each kind that is about queues and rules, with every field set to something that is
//! not its default.

use tieline_core::automation::{
    Action, AssignmentEntry, AssignmentRule, EscalationEntry, EscalationRule, Queue, RuleKind, SharingRule,
    When, WorkflowRule,
};
use tieline_core::event::{
    AssignmentRuleSet, ComputationFailed, Escalated, EscalationAdvanced, EscalationRuleSet, Event,
    QueueRemoved, QueueSet, RuleFailed, RuleRemoved, RuleShared, SharingRuleSet, WorkflowRuleSet,
};
use tieline_core::reason::{Reason, ReasonCode};
use tieline_core::sharing::TaskChoice;
use tieline_core::{FieldName, Owner};

use super::messages::{CONNECTION, MOMENT, RECORD, SHARE};
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
        several: true,
    };
    let mut all = vec![
        QueueSet { queue, actor: name("ann") }.into(),
        QueueRemoved { queue: name("emea"), actor: name("ann") }.into(),
        RuleRemoved { kind: RuleKind::Sharing, rule: "hot".to_owned(), actor: name("ann") }.into(),
        RuleShared { connection: CONNECTION, share: SHARE, rule: name("hot"), ended: true }.into(),
        ComputationFailed {
            record: RECORD,
            object: name("Deal__c"),
            reasons: vec![
                Reason::new(ReasonCode::RuleFailed, "division by zero")
                    .on_field(&name::<FieldName>("Rate__c")),
            ],
        }
        .into(),
        RuleFailed {
            kind: RuleKind::Workflow,
            rule: "hot".to_owned(),
            record: Some(RECORD),
            connection: Some(CONNECTION),
            reasons: vec![Reason::new(ReasonCode::RuleLoop, "no end")],
        }
        .into(),
        Escalated { record: RECORD, object: name("Deal__c"), entry: name("late"), since: MOMENT }.into(),
        EscalationAdvanced { object: name("Deal__c"), entry: name("late"), since: MOMENT, record: RECORD }
            .into(),
    ];
    all.extend(rules());
    all
}

fn rules() -> Vec<Event> {
    let criteria = || "Count > 1".to_owned();
    let sharing = SharingRule {
        name: name("hot"),
        object: name("Deal__c"),
        active: false,
        criteria: criteria(),
        connections: [CONNECTION].into(),
        unshare: true,
        tasks: TaskChoice::All,
        new_tasks: true,
        several: true,
    };
    let assignment = AssignmentRule {
        object: name("Deal__c"),
        active: false,
        entries: vec![AssignmentEntry { criteria: criteria(), owner: Owner::Queue(name("emea")) }],
    };
    let step = EscalationEntry {
        name: name("late"),
        criteria: criteria(),
        after_minutes: 30,
        owner: Some(Owner::User(name("bob"))),
        notify: [name("ann")].into(),
    };
    let escalation = EscalationRule { object: name("Deal__c"), active: false, entries: vec![step] };
    let field = name("Count");
    let workflow = WorkflowRule {
        name: name("hot"),
        object: name("Deal__c"),
        active: false,
        when: When::Every,
        criteria: criteria(),
        actions: vec![
            Action::Set { field, value: Some("1".to_owned()), formula: Some("Count + 1".to_owned()) },
            Action::Assign { to: Owner::User(name("bob")) },
            Action::Task { subject: "Call".to_owned(), due_in_days: Some(3), owner: Some(name("bob")) },
            Action::Notify { users: [name("ann")].into(), message: "look".to_owned() },
            Action::Mail {
                to: "ann@example.org".to_owned(),
                template: Some(name("news")),
                subject: "look".to_owned(),
                text: "at {{Name}}".to_owned(),
            },
            Action::Webhook {
                url: "https://hooks.example".to_owned(),
                fields: [name("Name")].into(),
                secret: Some(name("hook")),
            },
        ],
    };
    vec![
        SharingRuleSet { rule: sharing, actor: name("ann") }.into(),
        AssignmentRuleSet { rule: assignment, actor: name("ann") }.into(),
        EscalationRuleSet { rule: escalation, actor: name("ann") }.into(),
        WorkflowRuleSet { rule: workflow, actor: name("ann") }.into(),
    ]
}
