//! What files manage and do not name any more, what stands in the way of its going, and everything that
//! can be set: exported, applied elsewhere, exported again.

use tieline_core::command::{Command, InvitationCommand, ProfileCommand, Refusal, Reply};
use tieline_core::config::{self, Action, Options};
use tieline_core::invitation::InvitationDetails;
use tieline_core::people::{ObjectRights, Role};
use tieline_core::schema::standard_objects;
use tieline_core::value::Value;
use tieline_core::{ObjectName, UserName};

use crate::config::{EVERYTHING, PRUNE, command, items, pair, plan_as, source, told};
use crate::kit::{Org, deal, name};

const MANAGED: &str = r#"
manages = ["objects", "users"]
[objects.Fund__c]
name_field = "Name"
[objects.Fund__c.fields]
Name = { type = "text" }
[users.ann]
role = "administrator"
[users.bob]
role = "standard"
[extends.Deal__c]
label = "Deal"
"#;

fn remove_object(org: &mut Org, object: &str) -> Result<Reply, Refusal> {
    org.attempt(Command::RemoveObject { object: name(object) })
}

fn remove_user(org: &mut Org, user: &str) -> Result<Reply, Refusal> {
    org.attempt(Command::RemoveUser { user: name(user) })
}

#[test]
fn what_files_manage_and_do_not_name_goes() {
    let mut org = Org::new("acme", deal());
    org.run(command(plan_as(&org, "ann", &[source("f", MANAGED)], Options::default())));
    let fewer = MANAGED.replace("[users.bob]\nrole = \"standard\"\n", "");
    let start = fewer.find("[objects.Fund__c]").unwrap();
    let end = fewer.find("[users.ann]").unwrap();
    let fewer = format!("{}{}", &fewer[..start], &fewer[end..]);

    // Not managed: it stays, even if what is not there is pruned.
    let unmanaged = fewer.replace("manages = [\"objects\", \"users\"]", "");
    let plan = plan_as(&org, "ann", &[source("f", &unmanaged)], PRUNE);
    assert_eq!((told(&plan.faults), items(&plan)), (vec![], vec![]));
    let stay: Vec<&str> = plan.passed.iter().map(|passed| passed.item.as_str()).collect();
    assert_eq!(stay, ["users.bob", "objects.Fund__c"]);
    assert!(plan.passed[0].message.contains("manages = [\"users\"]"), "{:?}", plan.passed);

    // Managed: the plan shows it, whether or not it is asked for.
    let plan = plan_as(&org, "ann", &[source("f", &fewer)], Options::default());
    assert_eq!(items(&plan), [("users.bob", Action::Remove), ("objects.Fund__c", Action::Remove)]);
    org.run(command(plan));
    assert!(!org.state().users.contains_key(&name::<UserName>("bob")));
    assert!(!org.state().objects.contains_key(&name::<ObjectName>("Fund__c")));
    let again = plan_as(&org, "ann", &[source("f", &fewer)], Options::default());
    assert_eq!((told(&again.faults), items(&again)), (vec![], vec![]));

    for (text, line) in [("manages = 1\n", 1), ("manages = [\"org\"]\n", 1), ("manages = [\n\"usrs\"]\n", 2)]
    {
        let plan = plan_as(&org, "ann", &[source("f", text)], Options::default());
        assert_eq!((plan.faults.len(), plan.faults[0].place.line), (1, line), "{text}");
    }
}

#[test]
fn nothing_goes_that_something_stands_on() {
    let (mut acme, _) = pair();
    acme.create("Deal__c", &[("Name", Value::text("d"))]);
    let plan = plan_as(&acme, "ann", &[source("all", EVERYTHING)], Options::default());
    acme.run(command(plan));
    let refusal = remove_object(&mut acme, "Deal__c").unwrap_err();
    assert_eq!(refusal.code, "object_in_use");
    for part in ["1 records are of it", "published to globex", "Offer__c of globex becomes it", "and "] {
        assert!(refusal.message.contains(part), "{part}: {}", refusal.message);
    }
    assert_eq!(remove_object(&mut acme, "Nothing__c").unwrap_err().code, "unknown_object");
    assert_eq!(remove_user(&mut acme, "ann").unwrap_err().code, "user_in_use");
    assert_eq!(remove_user(&mut acme, "nobody").unwrap_err().code, "unknown_user");
    // In files it is a fault, and then nothing is applied.
    let plan = plan_as(&acme, "ann", &[source("f", "manages = [\"objects\"]\n")], Options::default());
    assert_eq!(plan.faults.iter().map(|fault| fault.code).collect::<Vec<_>>(), ["object_in_use"]);

    // A user goes as soon as nothing is left that names it, and may come back as another person.
    let mut org = Org::new("initech", deal());
    for user in ["bob", "eve"] {
        org.run(Command::AddUser { user: name(user), email: None, role: name("standard") });
    }
    let files = "[groups.emea]\nusers = [\"bob\"]\n[escalation_rules.Deal__c]\nentries = [{ name = \"late\", \
                 after_minutes = 60, notify = [\"bob\"] }]\n[user_notices.eve]\nmail = false\n";
    org.run(command(plan_as(&org, "ann", &[source("f", files)], Options::default())));
    let refusal = remove_user(&mut org, "bob").unwrap_err();
    assert!(refusal.message.contains("group emea") && refusal.message.contains("escalation rule of Deal__c"));
    assert_eq!(remove_user(&mut org, "eve"), Ok(Reply::Done));
    assert!(org.state().notices.of(&name("eve")).is_none(), "its settings go with it");
    org.run(Command::AddUser { user: name("eve"), email: None, role: name("standard") });
    assert_eq!(remove_user(&mut org, "ann").unwrap_err().code, "user_in_use", "nobody removes themselves");

    // A role that names an object stands on it, too.
    let mut role = Role::new(name("sales"));
    role.objects.insert(name("Deal__c"), ObjectRights::all());
    org.run(Command::SetRole { role: Box::new(role) });
    assert!(remove_object(&mut org, "Deal__c").unwrap_err().message.contains("role sales"));
    assert_eq!(org.state().hash(), org.replayed().hash(), "replay gives the same");
}

/// Names of a group, a role and a mail template, wherever something may name them.
const NAMES: &str = r#"
[roles.tmp]
[groups.emea]
users = ["ann"]
[groups.of_role]
roles = ["tmp"]
[queues.q]
objects = ["Deal__c"]
groups = ["emea"]
roles = ["tmp"]
[views.v]
object = "Deal__c"
audience = { groups = ["emea"], roles = ["tmp"] }
[inbox_views.i]
object = "Deal__c"
audience = { groups = ["emea"], roles = ["tmp"] }
[record_types.Deal__c.Big]
default = true
roles = ["tmp"]
[mail_templates.brand]
purpose = "invitation"
subject = "A connection"
text = "Answer here: {{connection_url}}"
"#;

#[test]
fn groups_roles_and_mail_templates_stay_while_something_names_them() {
    let mut org = Org::new("acme", deal());
    let contact = standard_objects().into_iter().find(|schema| schema.name.as_str() == "Contact").unwrap();
    org.run(Command::DefineObject { schema: Box::new(contact) });
    let plan = plan_as(&org, "ann", &[source("n", NAMES)], Options::default());
    assert_eq!(told(&plan.faults), [""; 0], "{:?}", plan.faults);
    org.run(command(plan));
    let contact = org
        .create("Contact", &[("LastName", Value::text("Ng")), ("Email", Value::text("ng@globex.example"))]);
    let details = InvitationDetails {
        contact,
        account: None,
        owner: None,
        label: String::new(),
        mail_template: Some(name("brand")),
        template: None,
        expires_in_s: 3_600,
    };
    let Reply::Connection(saved) = org
        .run(Command::Invitation(InvitationCommand::Save { connection: None, details: Box::new(details) }))
    else {
        panic!("an invitation is saved")
    };
    let group = Command::RemoveGroup { group: name("emea") };
    let role = Command::RemoveRole { role: name("tmp") };
    let template = Command::Invitation(InvitationCommand::RemoveTemplate { name: name("brand") });
    for (remove, code, named) in [
        (&group, "group_in_use", &["queue q", "view v", "view i"][..]),
        (&role, "role_in_use", &["group of_role", "queue q", "view i", "record type Big"]),
        (&template, "mail_template_in_use", &["saved invitation"]),
    ] {
        let refusal = org.attempt(remove.clone()).unwrap_err();
        assert_eq!(refusal.code, code);
        for name in named {
            assert!(refusal.message.contains(name), "{name}: {}", refusal.message);
        }
    }
    // So what is exported can be applied elsewhere.
    let (files, mut other) = (config::export(org.state()), Org::new("initech", deal()));
    let plan = plan_as(&other, "ann", &files, Options::default());
    assert_eq!(told(&plan.faults), [""; 0], "{:?}", plan.faults);
    other.run(command(plan));

    let empty = "manages = [\"queues\", \"views\", \"inbox_views\", \"groups\", \"roles\"]\n\
                 [record_types.Deal__c.Big]\ndefault = true\n";
    let plan = plan_as(&org, "ann", &[source("e", empty)], Options::default());
    assert_eq!(told(&plan.faults), [""; 0], "what names them goes first: {:?}", plan.faults);
    org.run(command(plan));
    assert_eq!(org.attempt(group).unwrap_err().code, "unknown_group");
    assert_eq!(org.attempt(role).unwrap_err().code, "unknown_role");
    org.run(Command::Invitation(InvitationCommand::Discard { connection: saved }));
    org.run(template);
    assert_eq!(org.state().hash(), org.replayed().hash(), "replay gives the same");
}

/// What came later than the other nouns.
const MORE: &str = r#"
[record_types.Deal__c.Big]
label = "Large"
default = true
[record_types.Deal__c.Small]
[connections.globex.settings]
label = "Globex sales"
"#;

#[test]
fn everything_that_can_be_set_is_the_same_elsewhere() {
    let (mut acme, _) = pair();
    let sources = [
        source("all", EVERYTHING),
        source("more", &MORE.replace("[connections.globex.settings]", "[connections.globex.x]")),
    ];
    assert_eq!(plan_as(&acme, "ann", &sources, Options::default()).faults.len(), 1, "x is nothing");
    let with_label = EVERYTHING.replace("owner = \"ann\"\n", "owner = \"ann\"\nlabel = \"Globex sales\"\n");
    let types = MORE.split("[connections").next().unwrap();
    let sources = [source("all", &with_label), source("types", types)];
    let plan = plan_as(&acme, "ann", &sources, Options::default());
    assert_eq!(told(&plan.faults), [""; 0], "{:?}", plan.faults);
    acme.run(command(plan));
    let again = plan_as(&acme, "ann", &sources, Options::default());
    assert_eq!((told(&again.faults), items(&again)), (vec![], vec![]), "{:?}", again.changes);
    let files = config::export(acme.state());
    let whole: String = files.iter().map(|file| file.text.as_str()).collect();
    assert!(whole.contains("Globex sales") && whole.contains("record_types.Big"), "{whole}");

    // An org that has nothing but its connection.
    let (mut other, _) = pair();
    let plan = plan_as(&other, "ann", &files, PRUNE);
    assert_eq!(told(&plan.faults), [""; 0], "{:?}", plan.faults);
    other.run(command(plan));
    assert_eq!(config::export(other.state()), files);
    let same = plan_as(&other, "ann", &files, PRUNE);
    assert_eq!((told(&same.faults), items(&same)), (vec![], vec![]), "{:?}", same.changes);
    assert_eq!(other.state().hash(), other.replayed().hash(), "replay gives the same");

    // A type that is not named any more goes; a whole object and its types in two places are refused.
    let fewer = "[record_types.Deal__c.Big]\nlabel = \"Large\"\ndefault = true\n";
    acme.run(command(plan_as(&acme, "ann", &[source("t", fewer)], Options::default())));
    let types = &acme.state().objects["Deal__c"].record_types;
    assert_eq!(types.iter().map(|kind| kind.name.as_str()).collect::<Vec<_>>(), ["Big"]);
    let deal = files.iter().find(|file| file.name == "objects/Deal__c.toml").unwrap().clone();
    let plan = plan_as(&acme, "ann", &[deal, source("t", fewer)], Options::default());
    assert_eq!(told(&plan.faults), ["t:1:15 duplicate_item record_types.Deal__c"]);
}

#[test]
fn all_publishable_fields_are_published_by_one_word() {
    let (mut acme, _) = pair();
    let text = "[connections.globex.publish.Deal__c]\nall = true\n";
    let plan = plan_as(&acme, "ann", &[source("f", text)], Options::default());
    assert_eq!(told(&plan.faults), [""; 0], "{:?}", plan.faults);
    acme.run(command(plan));
    let connection = acme.state().connections.values().next().unwrap();
    let published = connection.publish["Deal__c"].fields.len();
    let object = &acme.state().objects["Deal__c"];
    let publishable = object.fields.iter().filter(|field| object.publishable(&field.name).is_ok()).count();
    assert_eq!(published, publishable);
    assert!(published > 4, "more than were published by name");
    for text in [
        "[connections.globex.publish.Deal__c]\n",
        "[connections.globex.publish.Deal__c]\nall = true\nfields = []\n",
    ] {
        let plan = plan_as(&acme, "ann", &[source("f", text)], Options::default());
        assert_eq!(plan.faults[0].code, "bad_config", "{text}");
    }
}

#[test]
fn a_connection_is_called_what_people_call_it() {
    let (mut acme, _) = pair();
    let connection = *acme.state().connections.keys().next().unwrap();
    let label =
        |text: &str| Command::Profile(ProfileCommand::SetLabel { connection, label: text.to_owned() });
    acme.run(label("Globex sales"));
    assert_eq!(acme.state().select("Globex sales").unwrap().id, connection);
    assert_eq!(acme.attempt(label("Globex sales")), Ok(Reply::Unchanged));
    assert_eq!(acme.attempt(label("a\nb")).unwrap_err().code, "bad_label");
}
