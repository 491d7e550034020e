//! Settings as files: planned, applied as one group, exported, applied elsewhere.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tieline_core::automation::{Queue, Rule, SharingRule};
use tieline_core::check::{check, unseen_in_offers};
use tieline_core::command::{
    AutomationCommand, Command, ConfigCommand, Context, Refusal, Reply, ViewCommand,
};
use tieline_core::config::{self, Action, ConfigHash, Fault, Options, Plan, Source};
use tieline_core::log::Log;
use tieline_core::schema::ObjectSchema;
use tieline_core::sharing::TaskChoice;
use tieline_core::value::Value;
use tieline_core::view::{Audience, InboxView};
use tieline_core::{RoleName, UserName};

use crate::kit::{Org, connect, deal, deals_from_offers, name, offer, publish_rule, settle_all};

pub(crate) const PRUNE: Options = Options { prune: true, skip_missing: false };

pub(crate) fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned() }
}

pub(crate) fn plan_as(org: &Org, user: &str, sources: &[Source], options: Options) -> Plan {
    let context = Context { now: org.now, actor: name(user), entropy: [7; 32] };
    config::plan(org.state(), sources, options, &context)
}

fn plan(org: &Org, text: &str) -> Plan {
    plan_as(org, "ann", &[source("f.toml", text)], Options::default())
}

pub(crate) fn command(plan: Plan) -> Command {
    Command::Config(ConfigCommand::Apply { members: plan.members, based_on: Some(plan.based_on) })
}

fn apply(org: &mut Org, sources: &[Source], options: Options) -> Result<Reply, Refusal> {
    let plan = plan_as(org, "ann", sources, options);
    assert_eq!(plan.faults, [], "nothing stands in the way");
    org.attempt(command(plan))
}

pub(crate) fn items(plan: &Plan) -> Vec<(&str, Action)> {
    plan.changes.iter().map(|change| (change.item.as_str(), change.action)).collect()
}

pub(crate) fn told(faults: &[Fault]) -> Vec<String> {
    faults.iter().map(|fault| format!("{} {} {}", fault.place, fault.code, fault.item)).collect()
}

const PEOPLE: &str = r#"
[groups.emea]
users = ["bob"]
roles = ["sales"]
[users.bob]
role = "sales"
email = "bob@example.org"
[users.eve]
role = "standard"
active = false
[roles.sales]
manage_connections = true
[roles.sales.objects.Fund__c]
read = true
read_only = ["Size__c"]
[objects.Fund__c]
name_field = "Name"
[objects.Fund__c.fields]
Name = { type = "text", required = true }
Size__c = { type = "currency", scale = 2, default = "1.50" }
"#;

#[test]
fn files_in_any_order_are_one_group_in_the_log() {
    let mut org = Org::new("acme", deal());
    let plan = plan(&org, PEOPLE);
    assert_eq!(plan.faults, []);
    let created: Vec<&str> = items(&plan).into_iter().map(|(item, _)| item).collect();
    let expected = ["objects.Fund__c", "roles.sales", "users.bob", "users.eve", "groups.emea"];
    assert_eq!(created, expected);
    assert!(plan.changes.iter().all(|change| change.action == Action::Create && change.place.line > 1));

    let before = org.log.head().seq;
    assert_eq!(org.run(command(plan)), Reply::Done);
    let groups = org.log.read_from(before.next(), 0).unwrap();
    assert_eq!(groups.groups().count(), 1, "one group");
    assert!(org.state().users[&name::<UserName>("bob")].active);
    assert!(!org.state().users[&name::<UserName>("eve")].active);

    // Applied again, nothing changes, and nothing is logged.
    let (again, before) = (plan_as(&org, "ann", &[source("f", PEOPLE)], Options::default()), org.log.head());
    assert_eq!((items(&again), again.unchanged), (vec![], 5));
    assert_eq!(org.run(command(again)), Reply::Unchanged);
    assert_eq!(org.log.head(), before);
}

#[test]
fn a_change_is_told_field_by_field() {
    let mut org = Org::new("acme", deal());
    apply(&mut org, &[source("f", PEOPLE)], Options::default()).unwrap();
    let text = PEOPLE.replace("bob@example.org", "bob@example.com").replace("scale = 2", "scale = 3");
    let plan = plan(&org, &text);
    let told: Vec<(&str, &str)> = plan
        .changes
        .iter()
        .flat_map(|change| change.fields.iter().map(|field| (change.item.as_str(), field.path.as_str())))
        .collect();
    assert_eq!(told, [("objects.Fund__c", "fields.Size__c.scale"), ("users.bob", "email")]);
    assert_eq!(plan.changes[1].fields[0].after, Some("bob@example.com".into()));
}

#[test]
fn what_is_refused_names_file_line_and_column_and_nothing_happens() {
    let mut org = Org::new("acme", deal());
    let hash = org.state().hash();
    for (text, expected) in [
        ("[rolse.sales]\n", "f.toml:1:2 bad_config "),
        ("[roles.sales]\nportall = true\n", "f.toml:2:1 bad_config roles.sales"),
        ("[roles.sales]\nname = \"x\"\n", "f.toml:2:1 bad_config roles.sales"),
        ("\n[users.bob]\nrole = \"nobody\"\n", "f.toml:2:8 unknown_role users.bob"),
        ("[users.\"b b\"]\nrole = \"standard\"\n", "f.toml:1:8 bad_config users.b b"),
        (
            "[connections.globex.publish.Lead]\nfields = []\n",
            "f.toml:1:29 unknown_connection connections.globex.publish.Lead",
        ),
        ("[org]\nsharing = false\n", "f.toml:1:2 conflict org"),
        (
            "[extends.Deal__c.rules.X]\ncondition = 'Nmae == \"\"'\nmessage = \"m\"\n",
            "f.toml:2:14 bad_config objects.Deal__c",
        ),
    ] {
        // What is right in the same files is not applied either.
        let plan = plan(&org, &format!("{text}[groups.emea]\n"));
        assert_eq!(told(&plan.faults), [expected], "{text}");
    }
    let plan = plan(&org, "[groups.emea]\nusers = \n");
    assert!(told(&plan.faults)[0].starts_with("f.toml:2:"), "{:?}", plan.faults);
    let twice = [source("a", "[groups.emea]\n"), source("b", "[groups.emea]\n")];
    let plan = plan_as(&org, "ann", &twice, Options::default());
    assert_eq!(told(&plan.faults), ["b:1:9 duplicate_item groups.emea"]);
    assert_eq!(org.state().hash(), hash);

    // A plan that was right and is not any more: the member that fails takes all with it.
    let plan = plan_as(&org, "ann", &[source("f", PEOPLE)], Options::default());
    let mut members = plan.members;
    members.remove(0);
    let refusal = org.attempt(Command::Config(ConfigCommand::Apply { members, based_on: None })).unwrap_err();
    assert!(refusal.message.starts_with("roles.sales (f:"), "{refusal}");
    assert_eq!(org.state().hash(), hash);
}

#[test]
fn each_command_takes_its_permission() {
    let mut org = Org::new("acme", deal());
    apply(&mut org, &[source("f", PEOPLE)], Options::default()).unwrap();
    let plan = plan_as(&org, "bob", &[source("f", "[groups.more]\n")], Options::default());
    assert_eq!(told(&plan.faults), ["f:1:9 no_permission groups.more"]);
    assert!(plan.faults[0].message.contains("Modify All Data"), "{:?}", plan.faults);
}

#[test]
fn a_plan_of_another_configuration_is_refused() {
    let mut org = Org::new("acme", deal());
    let early = plan(&org, PEOPLE);
    let hash: ConfigHash = early.based_on.to_string().parse().unwrap();
    assert_eq!(hash, ConfigHash::of(org.state()));
    org.create("Deal__c", &[("Name", Value::text("d"))]);
    assert_eq!(hash, ConfigHash::of(org.state()), "records are no configuration");
    apply(&mut org, &[source("g", "[groups.other]\n")], Options::default()).unwrap();
    let forced = Command::Config(ConfigCommand::Apply { members: early.members.clone(), based_on: None });
    assert_eq!(org.attempt(command(early)).unwrap_err().code, "plan_outdated");
    assert_eq!(org.run(forced), Reply::Done);
}

#[test]
fn what_files_do_not_have_goes_only_if_asked() {
    let mut org = Org::new("acme", deal());
    apply(&mut org, &[source("f", PEOPLE)], Options::default()).unwrap();
    let fewer =
        "[groups]\n[roles.other]\n[users.bob]\nrole = \"other\"\n[users.ann]\nrole = \"administrator\"\n";
    let kept = plan_as(&org, "ann", &[source("f", fewer)], Options::default());
    assert!(items(&kept).iter().all(|(_, action)| *action != Action::Remove));
    let plan = plan_as(&org, "ann", &[source("f", fewer)], PRUNE);
    assert_eq!(told(&plan.faults), [""; 0]);
    let gone: Vec<_> = items(&plan).into_iter().filter(|(_, action)| *action == Action::Remove).collect();
    // The group names the role, so it goes first; the role `standard` is in every org.
    assert_eq!(gone, [("groups.emea", Action::Remove), ("roles.sales", Action::Remove)]);
    let stays: Vec<&str> = plan.passed.iter().map(|passed| passed.item.as_str()).collect();
    assert_eq!(stays, ["users.eve", "roles.standard"]);
    org.run(command(plan));
    assert!(!org.state().roles.contains_key(&name::<RoleName>("sales")));
}

#[test]
fn records_that_a_change_would_refuse_are_counted() {
    let mut org = Org::new("acme", deal());
    for count in 0..30 {
        let note = if count % 3 == 0 { Value::text("a note of more than ten") } else { Value::Null };
        let given = [("Name", Value::text("d")), ("Count", Value::Integer(count)), ("Note", note)];
        org.create("Deal__c", &given);
    }
    let text = "extends = \"Deal__c\"\n[fields]\nNote = { length = 10 }\n\
                [rules.Few]\ncondition = 'Count > 24'\nmessage = \"too many\"\n";
    let mut plan = plan(&org, text);
    let mut question = plan.questions.remove(0);
    let (mut after, mut slices) = (None, 0);
    loop {
        after = question.ask(org.state(), after, 7, org.now);
        slices += 1;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((slices, question.looked_at()), (5, 30));
    let touches: Vec<_> = question.touches().into_iter().map(|t| (t.code, t.detail, t.count)).collect();
    assert_eq!(touches, [("rule_refused", "Few".to_owned(), 5), ("too_long", "Note".to_owned(), 10)]);
    // An object that says nothing new asks nothing.
    assert!(
        plan_as(&org, "ann", &[source("f", "extends = \"Deal__c\"\nlabel = \"x\"\n")], Options::default())
            .questions
            .is_empty()
    );
}

/// Two orgs with rules over their connection.
pub(crate) fn pair() -> (Org, Org) {
    let (mut acme, mut globex) = (Org::new("acme", deal()), Org::new("globex", offer()));
    let id = connect(&mut acme, &mut globex);
    for (org, object, names) in [
        (&mut acme, "Deal__c", ["Name", "Note", "Count", "Stage"]),
        (&mut globex, "Offer__c", ["Title", "Remark", "Number", "Phase"]),
    ] {
        let rule = Some(publish_rule(&name(object), &names));
        org.run(Command::Publish { connection: id, object: name(object), rule });
    }
    settle_all(&mut acme, &mut globex, id);
    let rule = Some(deals_from_offers());
    acme.run(Command::Subscribe { connection: id, object: name("Offer__c"), rule });
    settle_all(&mut acme, &mut globex, id);
    (acme, globex)
}

#[test]
fn the_rules_of_a_connection_are_files_too() {
    let (mut acme, _) = pair();
    let files = config::export(acme.state());
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let expected =
        ["connections/globex.toml", "objects/Deal__c.toml", "org.toml", "roles.toml", "users.toml"];
    assert_eq!(names, expected);
    let plan = plan_as(&acme, "ann", &files, PRUNE);
    assert_eq!((told(&plan.faults), items(&plan)), (vec![], vec![]), "what is exported is what is");

    let other = files[0].text.replace("\"Number\"", "\"Nmuber\"");
    let plan = plan_as(&acme, "ann", &[source("c", &other)], PRUNE);
    let line = other.lines().position(|line| line.starts_with("[subscribe.Offer__c")).unwrap() + 1;
    // The first line that names the item is a heading, of it or of one of its fields.
    let faults: Vec<(&str, usize)> = plan.faults.iter().map(|fault| (fault.code, fault.place.line)).collect();
    assert_eq!(faults, [("not_published", line)], "{other}");
    let fewer = "connection = \"globex\"\n[publish]\n[subscribe]\n";
    let plan = plan_as(&acme, "ann", &[source("c", fewer)], PRUNE);
    assert_eq!(
        items(&plan),
        [
            ("connections.globex.subscribe.Offer__c", Action::Remove),
            ("connections.globex.publish.Deal__c", Action::Remove)
        ]
    );
    acme.run(command(plan));
    apply(&mut acme, &files, PRUNE).unwrap();
    assert_eq!(config::export(acme.state()), files);

    // Elsewhere the connection is not there: refused, or passed over.
    let mut other = Org::new("initech", offer());
    let plan = plan_as(&other, "ann", &files, Options::default());
    assert!(plan.faults.iter().all(|fault| fault.code == "unknown_connection") && plan.faults.len() == 3);
    let skip = Options { skip_missing: true, prune: false };
    let plan = plan_as(&other, "ann", &files, skip);
    assert_eq!((told(&plan.faults), plan.passed.len()), (vec![], 3));
    other.run(command(plan));
    assert!(other.state().objects.contains_key("Deal__c"));

    // The connection is there, and the partner publishes nothing yet.
    let (mut other, mut globex) = (Org::new("initech", deal()), Org::new("globex", offer()));
    let id = connect(&mut other, &mut globex);
    let plan = plan_as(&other, "ann", &files, Options::default());
    assert!(plan.faults.iter().all(|fault| fault.code == "not_in_catalogue") && plan.faults.len() == 1);
    let plan = plan_as(&other, "ann", &files, skip);
    let passed: Vec<&str> = plan.passed.iter().map(|passed| passed.item.as_str()).collect();
    assert_eq!((told(&plan.faults), passed), (vec![], vec!["connections.globex.subscribe.Offer__c"]));
    assert!(plan.passed[0].message.contains("globex does not publish Offer__c"), "{:?}", plan.passed);
    other.run(command(plan));
    assert!(other.connection(id).publish.contains_key("Deal__c"), "all else is set");
    // As soon as it does, the same files set the rest.
    let rule = Some(publish_rule(&name("Offer__c"), &["Title", "Remark", "Number", "Phase"]));
    globex.run(Command::Publish { connection: id, object: name("Offer__c"), rule });
    settle_all(&mut other, &mut globex, id);
    let plan = plan_as(&other, "ann", &files, skip);
    assert_eq!((told(&plan.faults), plan.passed.len()), (vec![], 0));
    other.run(command(plan));
    assert!(other.connection(id).subscribe.contains_key("Offer__c"));
}

/// One item of every noun that has no test of its own.
pub(crate) const EVERYTHING: &str = r#"
[org]
company = "Acme Group"
[queues.emea]
objects = ["Deal__c"]
users = ["ann"]
connections = ["globex"]
[views.big]
object = "Deal__c"
filter = "Count > 10"
columns = ["Name", "Count"]
sort = { field = "Count", descending = true }
[inbox_views.offers]
object = "Deal__c"
audience = { users = ["ann"] }
[mail_templates.hello]
purpose = "invitation"
subject = "A connection"
text = "Answer here: {{connection_url}}"
[reports.all]
object = "Deal__c"
rows = "records"
columns = ["Name"]
[notices]
mail = false
[user_notices.ann]
digest_minutes = 5
[sharing_rules.big]
object = "Deal__c"
criteria = "Count > 10"
connections = ["globex"]
[assignment_rules.Deal__c]
entries = [{ owner = "queue:emea" }]
[escalation_rules.Deal__c]
entries = [{ name = "late", after_minutes = 60, notify = ["ann"] }]
[workflow_rules.note]
object = "Deal__c"
criteria = "Count > 10"
actions = [{ set = { field = "Note", value = "big" } }]
[templates.partners.publish.Deal__c]
fields = ["Name"]
[templates.partners.subscribe.Offer__c]
local = "Deal__c"
fields = [{ local = "Name", from = "Title" }, { local = "Stage", constant = "Open" }]
[connections.globex.pause]
objects = ["Deal__c"]
[connections.globex.settings]
owner = "ann"
"#;

#[test]
fn every_noun_is_planned_applied_exported_and_applied_again() {
    let (mut acme, _) = pair();
    let sources = [source("all.toml", EVERYTHING)];
    let plan = plan_as(&acme, "ann", &sources, Options::default());
    assert_eq!(told(&plan.faults), [""; 0], "{:?}", plan.faults);
    acme.run(command(plan));
    let again = plan_as(&acme, "ann", &sources, Options::default());
    assert_eq!((told(&again.faults), items(&again)), (vec![], vec![]), "{:?}", again.changes);
    let files = config::export(acme.state());
    let same = plan_as(&acme, "ann", &files, PRUNE);
    assert_eq!((told(&same.faults), items(&same)), (vec![], vec![]), "{:?}", same.changes);
    assert!(
        files.iter().any(|file| file.text.contains("connections = [\"globex\"]")),
        "connections have names"
    );

    // All that can go, goes, and comes back from the files.
    let names: BTreeSet<&str> = files
        .iter()
        .filter(|file| !file.name.contains('/'))
        .map(|file| file.name.trim_end_matches(".toml"))
        .collect();
    let kept = ["org", "roles", "users", "notices"];
    let empty: String =
        names.iter().filter(|name| !kept.contains(*name)).map(|name| format!("[{name}]\n")).collect();
    let plan = plan_as(&acme, "ann", &[source("none.toml", &empty)], PRUNE);
    assert_eq!(told(&plan.faults), [""; 0], "{:?}", plan.faults);
    assert_eq!(plan.changes.len(), 11, "{:?}", items(&plan));
    acme.run(command(plan));
    apply(&mut acme, &files, Options::default()).unwrap();
    assert_eq!(config::export(acme.state()), files);
}

/// A random set of people and an object.
fn settings() -> impl Strategy<Value = String> {
    let role = ("[a-d]", any::<bool>(), any::<bool>(), any::<bool>());
    let fields = prop::collection::btree_map(
        "[A-E][a-z]{0,3}__c",
        prop_oneof![
            "[a-z]{0,3}".prop_map(|d| format!("{{ type = \"text\", length = 9, default = \"{d}\" }}")),
            (1..9u8, 0..3u8).prop_map(|(p, s)| format!("{{ type = \"decimal\", precision = {}, scale = {s} }}", p + 3)),
            Just("{ type = \"boolean\", default = true, label = \"Is it?\" }".to_owned()),
            Just("{ type = \"picklist\", values = [\"a\", { value = \"b\", active = false, label = \"B\" }], restricted = true, tracked = true }".to_owned()),
            Just("{ type = \"multi_picklist\", values = [\"x\", \"y\"], default = [\"y\", \"x\"] }".to_owned()),
            Just("{ type = \"date\", kind = \"audit\", required = true }".to_owned()),
            Just("{ type = \"reference\", references = \"Deal__c\", updatable = false, external_id = true }".to_owned()),
        ],
        0..6,
    );
    let rules = prop::collection::btree_map("[A-D]", (any::<bool>(), "[a-z\"\\\\]{1,5}"), 0..4);
    (prop::collection::vec(role, 0..4), fields, rules).prop_map(|(roles, fields, rules)| {
        let mut text = String::from("[objects.Thing__c]\nname_field = \"Name\"\ncreate_set = [\"Name\"]\n[objects.Thing__c.fields]\nName = { type = \"text\" }\n");
        for (field, definition) in &fields {
            text.push_str(&format!("{field} = {definition}\n"));
        }
        for (rule, (active, message)) in &rules {
            let message = message.replace('\\', "\\\\").replace('"', "\\\"");
            text.push_str(&format!("[objects.Thing__c.rules.{rule}]\ncondition = 'Name == \"x\"'\nmessage = \"{message}\"\nactive = {active}\nfield = \"Name\"\n"));
        }
        let mut seen = BTreeSet::new();
        for (role, connections, read, portal) in roles.iter().filter(|role| seen.insert(role.0.clone())) {
            let manage = *connections && !portal;
            text.push_str(&format!("[roles.{role}]\nmanage_connections = {manage}\nportal = {portal}\n[roles.{role}.objects.Thing__c]\nread = {read}\nread_only = [\"Name\"]\n"));
            text.push_str(&format!("[users.u{role}]\nrole = \"{role}\"\nactive = {read}\n[groups.g{role}]\nusers = [\"u{role}\", \"ann\"]\nroles = [\"{role}\"]\n"));
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// What is exported is what is there, and gives the same elsewhere.
    #[test]
    fn what_is_exported_can_be_applied_elsewhere(text in settings()) {
        let mut org = Org::new("acme", deal());
        apply(&mut org, &[source("f", &text)], Options::default()).unwrap();
        let files = config::export(org.state());
        let same = plan_as(&org, "ann", &files, PRUNE);
        prop_assert_eq!((told(&same.faults), items(&same)), (vec![], vec![]));

        let mut other = Org::new("globex", deal());
        apply(&mut other, &files, PRUNE).unwrap();
        prop_assert_eq!(config::export(other.state()), files);
        prop_assert_eq!(ConfigHash::of(org.state()), ConfigHash::of(other.state()));
        let thing = |org: &Org| ObjectSchema { version: 0, ..org.state().objects["Thing__c"].as_ref().clone() };
        prop_assert_eq!(thing(&org), thing(&other));
    }
}

#[test]
fn what_an_inbox_view_reads_and_offers_do_not_carry_is_told() {
    let (mut acme, _) = pair();
    let view = |filter: &str, columns: &[&str]| InboxView {
        name: name("new"),
        label: String::new(),
        object: name("Deal__c"),
        filter: Some(filter.to_owned()),
        columns: columns.iter().map(|column| name(column)).collect(),
        sort: None,
        audience: Audience::default(),
    };
    let mut told = |view: InboxView| {
        acme.run(Command::View(ViewCommand::SetInbox { view: Box::new(view.clone()) }));
        let found = check(acme.state(), None, acme.now).into_iter();
        let found: Vec<_> = found.filter(|finding| finding.code == "not_in_offers").collect();
        let texts: Vec<String> = found.iter().map(|finding| finding.message.clone()).collect();
        assert_eq!(texts, unseen_in_offers(acme.state(), &view), "at saving as later");
        assert!(found.iter().all(|finding| finding.item == "subscribe.Offer__c" && finding.detail == "new"));
        texts
    };
    // Of an offer, globex shows the phase.
    assert_eq!(told(view("Stage == 'Open' && ConnectionName == 'globex'", &[])), [""; 0]);
    let texts = told(view("Name == 'x' || Stage == 'Open'", &["Note"]));
    assert_eq!(texts.len(), 1);
    assert!(texts[0].contains("reads Title, Remark, which offers of Offer__c from globex"), "{texts:?}");
}

#[test]
fn queues_and_sharing_rules_of_a_connection_that_is_over_are_told() {
    let (mut acme, _) = pair();
    let id = *acme.state().connections.keys().next().unwrap();
    let queue = Queue { connections: [id].into(), ..Queue::new(name("emea"), [name("Deal__c")].into()) };
    let rule = |active: bool| SharingRule {
        name: name(if active { "hot" } else { "off" }),
        object: name("Deal__c"),
        active,
        criteria: String::new(),
        connections: [id].into(),
        unshare: false,
        tasks: TaskChoice::default(),
        new_tasks: false,
        several: false,
    };
    acme.run(Command::Automation(AutomationCommand::SetQueue { queue: Box::new(queue) }));
    for active in [true, false] {
        acme.run(Command::Automation(AutomationCommand::SetRule {
            rule: Box::new(Rule::Sharing(rule(active))),
        }));
    }
    let told = |org: &Org| -> Vec<String> {
        let found = check(org.state(), None, org.now).into_iter();
        found.filter(|finding| finding.code == "connection_ended").map(|finding| finding.item).collect()
    };
    assert_eq!(told(&acme), [""; 0], "while it works, nothing is told");
    acme.run(Command::Deactivate { connection: id, by_partner: false });
    assert_eq!(
        told(&acme),
        ["queues.emea", "sharing_rules.hot"],
        "what is not in force offers nothing anyway"
    );
}
