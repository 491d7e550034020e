//! Expressions that would take seconds, gigabytes or the stack: wherever one can be saved it is refused with
//! its reason, and what costs too much only with the values of a record ends at the limit of steps or bytes.

use tieline_core::automation::{
    Action, AssignmentEntry, AssignmentRule, EscalationEntry, EscalationRule, Rule, RuleKind, SharingRule,
    When, WorkflowRule,
};
use tieline_core::command::{AutomationCommand, Command, ReportChange, ViewCommand};
use tieline_core::mapping::Source;
use tieline_core::report::{Report, Rows};
use tieline_core::schema::{FieldKind, FieldSchema, FieldType, ObjectSchema, ValidationRule};
use tieline_core::sharing::TaskChoice;
use tieline_core::value::Value;
use tieline_core::view::{Audience, InboxView, RecordView};

use crate::kit::{Both, Org, deal, name, offers_from_deals};

/// What is told about an expression, however large it is.
const WORDS_MAX: usize = 1_000;

/// Conditions that are refused, and a word of the reason.
fn bombs() -> Vec<(&'static str, String, &'static str)> {
    let nest = |depth: usize| format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
    vec![
        ("ten thousand brackets", nest(10_000), "2048"),
        ("a deep nest within the bytes", nest(900), "nests deeper"),
        ("choices in a row", format!("{}true", "Name == 'x' ? true : ".repeat(90)), "column"),
        ("a long chain", vec!["Name == 'x'"; 150].join(" || "), "column"),
        ("a long list", format!("1 in [{}]", vec!["1"; 1_001].join(",")), "1000"),
        ("lists over lists", "[1,2].all(a, [1,2].all(b, [1,2].all(c, a + b + c > 0)))".to_owned(), "all"),
        (
            "a regular expression that explodes",
            "Name.matches('((a{1,100}){1,100}){1,100}')".to_owned(),
            "column",
        ),
        ("a regular expression that is long", format!("Name.matches('{}')", "a?".repeat(200)), "column"),
        ("a megabyte", format!("Name == '{}'", "x".repeat(1 << 20)), "2048"),
    ]
}

fn automation(rule: Rule) -> Command {
    Command::Automation(AutomationCommand::SetRule { rule: Box::new(rule) })
}

fn sharing(both: &Both, criteria: &str) -> Command {
    automation(Rule::Sharing(SharingRule {
        name: name("shares"),
        object: name("Deal__c"),
        active: true,
        criteria: criteria.to_owned(),
        connections: [both.connection].into(),
        unshare: true,
        tasks: TaskChoice::None,
        new_tasks: false,
        several: false,
    }))
}

fn assignment(criteria: &str) -> Command {
    let entries = vec![AssignmentEntry { criteria: criteria.to_owned(), owner: name("ann") }];
    automation(Rule::Assignment(AssignmentRule { object: name("Deal__c"), active: true, entries }))
}

fn escalation(criteria: &str) -> Command {
    let entries = vec![EscalationEntry {
        name: name("late"),
        criteria: criteria.to_owned(),
        after_minutes: 1,
        owner: Some(name("ann")),
        notify: [].into(),
    }];
    automation(Rule::Escalation(EscalationRule { object: name("Deal__c"), active: true, entries }))
}

fn workflow(rule: &str, criteria: &str, formula: Option<&str>) -> Command {
    let set = Action::Set {
        field: name("Note"),
        value: formula.is_none().then(|| "noted".to_owned()),
        formula: formula.map(str::to_owned),
    };
    automation(Rule::Workflow(WorkflowRule {
        name: name(rule),
        object: name("Deal__c"),
        active: true,
        when: When::Every,
        criteria: criteria.to_owned(),
        actions: vec![set],
    }))
}

fn view(filter: &str) -> RecordView {
    RecordView {
        name: name("view"),
        label: String::new(),
        object: name("Deal__c"),
        filter: Some(filter.to_owned()),
        mine: false,
        columns: Vec::new(),
        sort: None,
        audience: Audience::default(),
    }
}

fn inbox_view(filter: &str) -> Command {
    let view = InboxView {
        name: name("inbox"),
        label: String::new(),
        object: name("Deal__c"),
        filter: Some(filter.to_owned()),
        columns: Vec::new(),
        sort: None,
        audience: Audience::default(),
    };
    Command::View(ViewCommand::SetInbox { view: Box::new(view) })
}

fn report(filter: &str) -> Command {
    let report = Report {
        name: name("report"),
        label: String::new(),
        object: name("Deal__c"),
        rows: Rows::Records,
        connected: false,
        connection: None,
        filter: Some(filter.to_owned()),
        columns: vec!["Name".to_owned()],
        group_by: Vec::new(),
        summaries: Vec::new(),
        sort: Vec::new(),
        since: None,
        until: None,
        last_days: None,
    };
    Command::Report(ReportChange::Set { report: Box::new(report) })
}

/// An object with one more validation rule.
fn with_rule(mut schema: ObjectSchema, condition: &str) -> Command {
    schema.rules.push(ValidationRule {
        name: "Bomb".to_owned(),
        condition: condition.to_owned(),
        message: "no".to_owned(),
        field: None,
        active: true,
    });
    Command::DefineObject { schema: Box::new(schema) }
}

/// An object with a field that is computed.
fn with_computed(mut schema: ObjectSchema, expression: &str) -> Command {
    let expression = Some(expression.to_owned());
    let kind = FieldKind::Formula;
    schema.fields.push(FieldSchema { kind, expression, ..FieldSchema::new(name("Is"), FieldType::Boolean) });
    schema.sort();
    Command::DefineObject { schema: Box::new(schema) }
}

/// What the partner would take, with one field computed.
fn mapping(both: &Both, expression: &str) -> Command {
    let mut rule = offers_from_deals();
    let remark = rule.fields.iter_mut().find(|mapping| mapping.local == name("Remark")).unwrap();
    remark.source = Source::Computed(expression.to_owned());
    Command::Subscribe { connection: both.connection, object: name("Deal__c"), rule: Some(rule) }
}

#[test]
fn a_bomb_is_refused_wherever_an_expression_is_saved() {
    let mut both = Both::new();
    for (what, bomb, word) in bombs() {
        let text = format!("{bomb} ? 'a' : 'b'");
        let here = [
            ("a validation rule", with_rule(deal(), &bomb)),
            ("a computed field", with_computed(deal(), &bomb)),
            ("a sharing rule", sharing(&both, &bomb)),
            ("an assignment rule", assignment(&bomb)),
            ("an escalation rule", escalation(&bomb)),
            ("the criteria of a workflow rule", workflow("acts", &bomb, None)),
            ("the formula of a workflow rule", workflow("acts", "", Some(&text))),
            ("a list view", Command::View(ViewCommand::Set { view: Box::new(view(&bomb)) })),
            ("an inbox view", inbox_view(&bomb)),
            ("a report", report(&bomb)),
        ];
        let there = [("a computed mapping", mapping(&both, &text))];
        let tries = here.into_iter().map(|(place, command)| (true, place, command));
        let tries = tries.chain(there.into_iter().map(|(place, command)| (false, place, command)));
        for (ours, place, command) in tries {
            let org: &mut Org = if ours { &mut both.acme } else { &mut both.globex };
            let before = org.state().hash();
            let refusal = org.attempt(command).expect_err(&format!("{what} in {place}"));
            let told = format!("{refusal} {:?}", refusal.reasons);
            assert!(told.contains(word), "{what} in {place}: {told}");
            assert!(told.chars().count() < 2 * WORDS_MAX, "{what} in {place}: {told}");
            assert_eq!(org.state().hash(), before, "{what} in {place}: nothing is saved");
        }
    }
}

/// An object with a long text.
fn long() -> ObjectSchema {
    let mut schema = deal();
    schema
        .fields
        .push(FieldSchema { length: Some(100_000), ..FieldSchema::new(name("Body"), FieldType::LongText) });
    schema.sort();
    schema
}

#[test]
fn what_costs_too_much_with_the_values_of_a_record_fails_within_its_bounds() {
    let mut both = Both::new();
    both.acme.run(Command::DefineObject { schema: Box::new(long()) });
    let dear = (0..8).map(|n| format!("Body.matches('{n}+$')")).collect::<Vec<_>>().join(" || ");
    let doubled = "Body + Body + Body + Body";
    for command in [
        sharing(&both, &dear),
        workflow("dear", &dear, None),
        workflow("doubled", "", Some(doubled)),
        Command::View(ViewCommand::Set { view: Box::new(view(&dear)) }),
        with_computed(long(), &dear),
    ] {
        both.acme.run(command);
    }
    let body = Value::text(&"ab".repeat(45_000));
    let record = both.acme.create("Deal__c", &[("Name", Value::text("large")), ("Body", body.clone())]);
    both.acme.finish_jobs();
    // The record is as it was written, and who set the rules is told.
    assert_eq!(*both.acme.record(record).value(&name("Body")), body);
    assert_eq!(*both.acme.record(record).value(&name("Is")), Value::Null);
    assert_eq!(both.acme.record(record).share_over(both.connection), None);
    let failures = &both.acme.state().automation.failures;
    let kinds: Vec<(RuleKind, &str)> =
        failures.iter().map(|noted| (noted.failure.kind, noted.failure.rule.as_str())).collect();
    for told in [(RuleKind::Sharing, "shares"), (RuleKind::Workflow, "dear"), (RuleKind::Workflow, "doubled")]
    {
        assert!(kinds.contains(&told), "{told:?} is not in {kinds:?}");
    }
    for noted in failures {
        let reason = &noted.failure.reasons[0];
        assert!(reason.message.contains("steps") || reason.message.contains("longer"), "{reason:?}");
    }
    let (view, open) = both.acme.state().open_view(&name("view")).unwrap();
    let found = both.acme.record(record);
    assert!(!both.acme.state().view_matches((view, &open), found, &name("ann"), both.acme.now));
    // A record that costs little goes through all of it.
    let small = both.acme.create("Deal__c", &[("Name", Value::text("small")), ("Body", Value::text("b7"))]);
    assert_eq!(*both.acme.record(small).value(&name("Note")), Value::text("b7b7b7b7"));
    assert!(both.acme.record(small).share_over(both.connection).is_some());
}
