//! Every command and what it needs, written down a second time.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::apply::apply;
use crate::automation::{AssignmentRule, Queue, Rule, RuleKind, SharingRule};
use crate::command::NewToken;
use crate::conversion::ConversionMap;
use crate::event::SecretChange;
use crate::event::{
    ConnectionEstablished, Event, IncarnationCause, InvitationAnswered, ObjectDefined, OfferReceived,
    OrgCreated, RecordAction, RecordChanged, SubscribeRuleSet, UserSet,
};
use crate::inquiry::InquiryReply;
use crate::invitation::{InvitationDetails, ReceivedInvitation};
use crate::mail_template::MailPurpose;
use crate::mapping::{FieldMapping, SubscribeRule};
use crate::owner_map::OwnerMap;
use crate::people::{Group, OrgSettings, Role};
use crate::publish::PublishRule;
use crate::schema::standard_objects;
use crate::sharing::Forwarding;
use crate::state::OwnKey;
use crate::template::ConnectionTemplate;
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::view::{Audience, InboxView, RecordView};
use crate::{
    AssignTo, EffectId, Incarnation, InquiryId, JobId, Owner, Position, RoleName, Timestamp, TokenId,
};

const CONNECTION: ConnectionId = ConnectionId(1);
const LEAD: RecordId = RecordId(2);
/// An offer of the partner's Prospect__c, which is taken as Lead.
const OFFER: ShareId = ShareId(3);
/// An offer of an object that is not subscribed.
const STRANGE: ShareId = ShareId(4);

fn parse<T: std::str::FromStr<Err = crate::InvalidId>>(text: &str) -> T {
    text.parse().unwrap()
}

fn hand_over() -> JobKind {
    let records = crate::job::HandedRecords::All;
    JobKind::HandOver { from: parse("ann"), to: parse("bob"), connections: true, records }
}

fn subscription() -> SubscribeRule {
    SubscribeRule {
        remote: parse("Prospect__c"),
        local: parse("Lead"),
        auto_accept: false,
        accept_whole: false,
        owner: None,
        fields: vec![FieldMapping::rename(parse("Stage__c"), parse("Status"))],
        version: 1,
    }
}

fn sharing_rule() -> Rule {
    Rule::Sharing(SharingRule {
        name: parse("hot"),
        object: parse("Lead"),
        active: true,
        criteria: String::new(),
        connections: BTreeSet::new(),
        unshare: false,
        tasks: crate::sharing::TaskChoice::None,
        new_tasks: false,
        several: false,
    })
}

fn queue(member: Option<ConnectionId>) -> Queue {
    Queue { connections: member.into_iter().collect(), ..Queue::new(parse("emea"), BTreeSet::new()) }
}

fn template() -> ConnectionTemplate {
    ConnectionTemplate { name: parse("t"), publish: BTreeMap::new(), subscribe: BTreeMap::new() }
}

/// An org with a user, a lead, and a connection over which two records were offered.
fn state() -> State {
    let mut state = State::default();
    let mut happens = |event: Event| apply(&mut state, Timestamp(1), &event);
    happens(OrgCreated { name: parse("acme"), incarnation: Incarnation(1) }.into());
    let user = UserSet {
        user: parse("bob"),
        email: None,
        role: RoleName::standard(),
        active: true,
        actor: parse("ann"),
    };
    happens(user.into());
    let contact = standard_objects().into_iter().find(|schema| schema.name.as_str() == "Contact").unwrap();
    happens(ObjectDefined { schema: contact, actor: parse("ann") }.into());
    let lead = RecordChanged {
        record: LEAD,
        object: parse("Lead"),
        action: RecordAction::Create,
        prev: crate::Seq::default(),
        actor: parse("ann"),
        owner: None,
        content: crate::content::Content::default(),
        origin: None,
        origins: VecMap::new(),
        received: VecMap::new(),
        deliveries: Vec::new(),
        hops: 0,
        rule: None,
    };
    happens(lead.into());
    let answered = InvitationAnswered {
        connection: CONNECTION,
        inviter: parse("globex"),
        public_key: [1; 32],
        secret_hash: [2; 32],
        accept: true,
        owner: parse("ann"),
        label: String::new(),
        actor: None,
    };
    happens(answered.into());
    let established = ConnectionEstablished {
        connection: CONNECTION,
        partner: parse("globex"),
        public_key: [1; 32],
        incarnation: Incarnation(1),
        partner_owner: parse("gus"),
        answered_by: None,
    };
    happens(established.into());
    let (object, rule) = (parse("Prospect__c"), Some(subscription()));
    happens(SubscribeRuleSet { connection: CONNECTION, object, rule, actor: parse("ann") }.into());
    for (share, object) in [(OFFER, "Prospect__c"), (STRANGE, "Other__c")] {
        let (record, preview) = (RecordId(9), VecMap::new());
        let object = parse(object);
        let received = OfferReceived {
            connection: CONNECTION,
            share,
            generation: 1,
            object,
            record,
            preview,
            hops: 0,
            links: Vec::new(),
            parents: Vec::new(),
        };
        happens(received.into());
    }
    state
}

fn values() -> VecMap<FieldName, Value> {
    [(parse("Status"), Value::text("New"))].into_iter().collect()
}

fn invitation(command: InvitationCommand) -> Command {
    Command::Invitation(command)
}

fn details() -> Box<InvitationDetails> {
    Box::new(InvitationDetails {
        contact: LEAD,
        account: None,
        owner: None,
        label: String::new(),
        mail_template: None,
        template: None,
        expires_in_s: 60,
    })
}

fn received() -> ReceivedInvitation {
    ReceivedInvitation {
        connection: CONNECTION,
        inviter: parse("globex"),
        public_key: [0; 32],
        secret_hash: [0; 32],
        expires: Timestamp(9),
    }
}

fn view(object: &ObjectName) -> RecordView {
    RecordView {
        name: parse("hot"),
        label: String::new(),
        object: object.clone(),
        filter: None,
        mine: false,
        columns: Vec::new(),
        sort: None,
        audience: Audience::default(),
    }
}

fn inbox_view(object: &ObjectName) -> InboxView {
    InboxView {
        name: parse("hot"),
        label: String::new(),
        object: object.clone(),
        filter: None,
        columns: Vec::new(),
        sort: None,
        audience: Audience::default(),
    }
}

/// Each command with what it needs, in order; nothing at all is what the daemon does by itself, and
/// what names something that is not there.
fn table() -> Vec<(Command, &'static [&'static str])> {
    let all: &[&str] = &["Modify All Data"];
    let manage: &[&str] = &["Manage Connections"];
    let error = String::new();
    let create: &[&str] = &["read and create on Lead"];
    let how = Forwarding::default();
    let edit: &[&str] = &["read and edit on Lead"];
    let decides: &[&str] = &["read and edit on Lead", "edit on Lead.Status"];
    let rules: &[&str] = &["Manage Connections", "read and edit on Lead", "edit on Lead.Status"];
    let token = || NewToken::of([0; 32]);
    let (user, role): (UserName, RoleName) = (parse("bob"), RoleName::standard());
    let settings = OrgSettings::default();
    let lead: ObjectName = parse("Lead");
    let (connection, incarnation) = (CONNECTION, Incarnation(2));
    let start = |kind| Command::StartJob { kind };
    vec![
        (
            Command::CreateOrg {
                name: parse("acme"),
                admin: user.clone(),
                token: token(),
                objects: Vec::new(),
                settings,
                sharing: true,
            },
            &[],
        ),
        (
            Command::StartIncarnation {
                cause: IncarnationCause::Restored,
                connection: None,
                above: incarnation,
            },
            &[],
        ),
        (
            Command::TakeHello {
                connection,
                from: parse("globex"),
                accept: true,
                user: user.clone(),
                public_key: [0; 32],
                incarnation,
                by: None,
            },
            &[],
        ),
        (Command::TakeWelcome { connection, incarnation, owner: None }, &[]),
        (Command::TakeRefusal { connection, code: String::new() }, &[]),
        (Command::TakeIncarnation { connection, incarnation }, &[]),
        (Command::NoteReceipt { connection, position: Position(1) }, &[]),
        (Command::ConfirmKey { connection, key: OwnKey { number: 1, public_key: [6; 32].into() } }, &[]),
        (Command::AdvanceJob { job: JobId(1), allowance: 1 }, &[]),
        (Command::TryHeld { connection, position: Position(1) }, &[]),
        (Command::Deactivate { connection, by_partner: true }, &[]),
        (Command::Config(ConfigCommand::Apply { members: Vec::new(), based_on: None }), &[]),
        (Command::Deactivate { connection, by_partner: false }, manage),
        (Command::EnableSharing, all),
        (Command::SetOrg { settings }, all),
        (Command::AddUser { user: user.clone(), email: None, role: role.clone() }, all),
        (Command::ChangeUser { user: user.clone(), email: None, role: None, active: Some(false) }, all),
        (Command::RemoveUser { user: user.clone() }, all),
        (Command::RemoveObject { object: parse("Lead") }, all),
        (Command::Profile(ProfileCommand::SetLabel { connection, label: String::new() }), manage),
        (Command::SetRole { role: Box::new(Role::new(parse("sales"))) }, all),
        (Command::RemoveRole { role }, all),
        (
            Command::SetGroup {
                group: Group { name: parse("emea"), users: BTreeSet::new(), roles: BTreeSet::new() },
            },
            all,
        ),
        (Command::RemoveGroup { group: parse("emea") }, all),
        (Command::IssueToken { user: user.clone(), token: token() }, all),
        (Command::RevokeToken { user, token: TokenId(1) }, all),
        (Command::DefineObject { schema: Box::new(standard_objects().remove(0)) }, all),
        (
            Command::Invite {
                secret_hash: [0; 32],
                expires: Timestamp(9),
                owner: None,
                label: String::new(),
            },
            manage,
        ),
        (Command::Revoke { connection }, manage),
        (
            Command::Answer {
                connection,
                inviter: parse("globex"),
                public_key: [0; 32],
                secret_hash: [0; 32],
                expires: Timestamp(9),
                accept: true,
                owner: None,
                label: String::new(),
            },
            manage,
        ),
        (Command::Profile(ProfileCommand::SetCompany { company: String::new() }), all),
        (Command::Template(TemplateCommand::Set { template: Box::new(template()) }), manage),
        (Command::Template(TemplateCommand::Save { name: parse("t"), connection }), manage),
        (Command::Template(TemplateCommand::Remove { name: parse("t") }), manage),
        (Command::Template(TemplateCommand::Give { name: parse("t"), connection }), manage),
        (Command::Resume { connection }, manage),
        (Command::Reconcile { connection }, manage),
        (Command::AnnounceKey { connection, key: OwnKey { number: 1, public_key: [6; 32].into() } }, manage),
        (Command::Publish { connection, object: lead.clone(), rule: None }, manage),
        (
            Command::Publish {
                connection,
                object: lead.clone(),
                rule: Some(PublishRule::new(lead.clone(), vec![parse("Status")], 1)),
            },
            rules,
        ),
        (Command::Subscribe { connection, object: parse("Prospect__c"), rule: None }, manage),
        (Command::Subscribe { connection, object: parse("Prospect__c"), rule: Some(subscription()) }, rules),
        (
            Command::CreateRecord { object: lead.clone(), values: values(), owner: None },
            &["read and create on Lead", "edit on Lead.Status"],
        ),
        (
            Command::UpdateRecord { record: LEAD, values: values() },
            &["read and edit on Lead", "edit on Lead.Status"],
        ),
        (Command::UpdateRecord { record: RecordId(99), values: values() }, &[]),
        (Command::DeleteRecord { record: LEAD }, edit),
        (Command::Forward { record: LEAD, connection }, edit),
        (Command::Sharing(SharingCommand::Forward { record: LEAD, connection, how }), edit),
        (
            Command::Sharing(SharingCommand::Accept {
                connection,
                share: OFFER,
                owner: None,
                record_type: None,
            }),
            create,
        ),
        (
            Command::Sharing(SharingCommand::SetAccountRule {
                connection,
                object: parse("Prospect__c"),
                rule: None,
            }),
            manage,
        ),
        (Command::Sharing(SharingCommand::SetOwnerMap { connection, owners: OwnerMap::default() }), manage),
        (Command::Sharing(SharingCommand::SetConversionMap { map: ConversionMap::default() }), all),
        // Of what a lead becomes, the org of the table has contacts.
        (
            Command::Sharing(SharingCommand::Convert { lead: LEAD, conversion: Box::default() }),
            &["read and edit on Lead", "read and create on Contact"],
        ),
        (Command::Sharing(SharingCommand::Approve { record: LEAD, field: parse("Status") }), decides),
        (Command::Sharing(SharingCommand::Reject { record: LEAD, field: parse("Status") }), decides),
        (Command::EndShare { record: LEAD, connection, reason: crate::message::EndReason::Stopped }, edit),
        (Command::Retry { connection, share: OFFER }, create),
        (Command::Accept { connection, share: OFFER, owner: None }, create),
        (Command::Accept { connection, share: STRANGE, owner: None }, manage),
        (Command::Accept { connection, share: ShareId(99), owner: None }, &[]),
        (Command::Decline { connection, share: OFFER }, create),
        // What the partner has is written into a record that is here.
        (Command::Adopt { connection, share: OFFER, record: LEAD }, edit),
        (Command::Effect(EffectCommand::End { id: EffectId(1), sent: true, attempts: 1, error }), &[]),
        (Command::Effect(EffectCommand::Retry { id: EffectId(1) }), manage),
        (Command::Effect(EffectCommand::Drop { id: EffectId(1) }), manage),
        (
            Command::Effect(EffectCommand::NoteSecret { name: parse("hooks"), change: SecretChange::Made }),
            all,
        ),
        (Command::Notice(NoticeCommand::MakeDigests), &[]),
        (
            invitation(InvitationCommand::Send {
                details: details(),
                secret_hash: [0; 32],
                expires: Timestamp(9),
                again: false,
            }),
            &["Manage Connections", "read on Contact"],
        ),
        (
            invitation(InvitationCommand::Save { connection: None, details: details() }),
            &["Manage Connections", "read on Contact"],
        ),
        (
            invitation(InvitationCommand::SendSaved {
                connection,
                secret_hash: [0; 32],
                expires: Timestamp(9),
            }),
            manage,
        ),
        (invitation(InvitationCommand::Discard { connection }), manage),
        (invitation(InvitationCommand::Postpone { invitation: received() }), manage),
        (
            invitation(InvitationCommand::TakePostponement {
                connection,
                from: parse("globex"),
                user: parse("gus"),
            }),
            &[],
        ),
        (
            invitation(InvitationCommand::SetTemplate {
                template: Box::new(MailPurpose::Invitation.built_in()),
            }),
            all,
        ),
        (invitation(InvitationCommand::RemoveTemplate { name: parse("branded") }), all),
        (
            Command::Inquiry(InquiryCommand::Ask { contact: LEAD, template: None, again: false }),
            &["Manage Connections", "read on Contact"],
        ),
        (
            Command::Inquiry(InquiryCommand::Record {
                id: InquiryId(1),
                reply: InquiryReply::Yes,
                org: None,
                listed: false,
                note: String::new(),
            }),
            manage,
        ),
        (Command::Notice(NoticeCommand::Read { ids: Vec::new() }), &[]),
        (Command::Notice(NoticeCommand::Set { user: None, settings: None }), all),
        (
            start(JobKind::Forward {
                connection,
                object: lead.clone(),
                records: None,
                view: None,
                how: Forwarding::default(),
            }),
            edit,
        ),
        (start(JobKind::Accept { connection, object: None, to: None }), create),
        (start(JobKind::Assign { object: lead.clone(), to: AssignTo::Rules, view: None }), edit),
        (start(hand_over()), all),
        (start(JobKind::Accept { connection, object: Some(parse("Other__c")), to: None }), &[]),
        (Command::View(ViewCommand::Set { view: Box::new(view(&lead)) }), &["read on Lead"]),
        (Command::View(ViewCommand::Remove { view: parse("hot") }), &[]),
        (Command::View(ViewCommand::SetInbox { view: Box::new(inbox_view(&lead)) }), manage),
        (Command::View(ViewCommand::RemoveInbox { view: parse("hot") }), manage),
        (start(JobKind::Backfill { connection, object: lead, fields: Vec::new() }), manage),
        (start(JobKind::Reconcile { connection }), manage),
        (start(JobKind::Grant { connection }), manage),
        (start(JobKind::Retry { connection }), manage),
        (start(JobKind::Close { connection }), manage),
        (start(JobKind::ApplySharing { connection, rule: parse("hot") }), manage),
        (
            Command::Automation(AutomationCommand::SetRule { rule: Box::new(sharing_rule()) }),
            &["Modify All Data", "Manage Connections"],
        ),
        (
            Command::Automation(AutomationCommand::SetRule {
                rule: Box::new(Rule::Assignment(AssignmentRule {
                    object: parse("Lead"),
                    active: true,
                    entries: Vec::new(),
                })),
            }),
            all,
        ),
        (
            Command::Automation(AutomationCommand::RemoveRule {
                kind: RuleKind::Sharing,
                rule: "hot".to_owned(),
            }),
            all,
        ),
        (Command::Automation(AutomationCommand::ApplySharing { rule: parse("hot") }), manage),
        (Command::Automation(AutomationCommand::Escalate), &[]),
        (start(JobKind::ShareQueue { connection, queue: parse("emea") }), manage),
        (Command::Automation(AutomationCommand::SetQueue { queue: Box::new(queue(None)) }), all),
        (
            Command::Automation(AutomationCommand::SetQueue { queue: Box::new(queue(Some(connection))) }),
            &["Modify All Data", "Manage Connections"],
        ),
        (Command::Automation(AutomationCommand::RemoveQueue { queue: parse("emea") }), all),
        (Command::Automation(AutomationCommand::ShareQueue { queue: parse("emea"), connection }), manage),
        (
            Command::Automation(AutomationCommand::Assign {
                record: LEAD,
                to: Owner::from(parse::<UserName>("bob")).into(),
            }),
            edit,
        ),
    ]
}

#[test]
fn each_command_needs_what_the_table_says() {
    let state = state();
    for (command, expected) in table() {
        let mut needed = Vec::new();
        needs(&state, &command, &mut |permission| {
            needed.push(permission.to_string());
            Ok(())
        })
        .unwrap();
        assert_eq!(needed, expected, "{command:?}");
    }
}

/// Where commands are written: the enum of all, and those of single nouns, as `Noun::Variant`.
const SOURCES: &[(&str, &str)] = &[
    ("Command", include_str!("../../command/mod.rs")),
    ("AutomationCommand", include_str!("../../command/automation.rs")),
    ("ViewCommand", include_str!("../../command/view.rs")),
    ("SharingCommand", include_str!("../../command/sharing.rs")),
    ("EffectCommand", include_str!("../../command/effect.rs")),
    ("InquiryCommand", include_str!("../../command/inquiry.rs")),
    ("InvitationCommand", include_str!("../../command/invitation.rs")),
    ("NoticeCommand", include_str!("../../command/notice.rs")),
    ("ConfigCommand", include_str!("../../command/config.rs")),
    ("ProfileCommand", include_str!("../../command/profile.rs")),
    ("TemplateCommand", include_str!("../../command/template.rs")),
];

/// The variants of an enum as they are written; one that only wraps a noun's enum is left out.
fn variants(name: &str, source: &str) -> BTreeSet<String> {
    let head = format!("pub enum {name} {{");
    let body = source.split(&head).nth(1).and_then(|rest| rest.split("\n}\n").next()).unwrap();
    let variant = |line: &str| {
        let name = line.strip_prefix("    ")?;
        let written = name.starts_with(|c: char| c.is_ascii_uppercase()) && !name.contains('(');
        written.then(|| name.trim_end_matches([' ', '{', ',']).to_owned())
    };
    body.lines().filter_map(variant).collect()
}

#[test]
fn the_table_has_every_command() {
    let noun = |name: &str| name.strip_suffix("Command").filter(|noun| !noun.is_empty()).map(str::to_owned);
    let written: BTreeSet<String> = SOURCES
        .iter()
        .flat_map(|(name, source)| {
            let noun = noun(name);
            let named = move |variant: String| match &noun {
                Some(noun) => format!("{noun}::{variant}"),
                None => variant,
            };
            variants(name, source).into_iter().map(named)
        })
        .collect();
    // `Queue(Set { …` is `Queue::Set`.
    let name = |command: &Command| {
        let shown = format!("{command:?}");
        let mut words = shown.split(|c: char| !c.is_alphanumeric());
        let first = words.next().unwrap_or_default().to_owned();
        match words.next().filter(|_| shown[first.len()..].starts_with('(')) {
            Some(second) => format!("{first}::{second}"),
            None => first,
        }
    };
    let tested: BTreeSet<String> = table().iter().map(|(command, _)| name(command)).collect();
    assert!(written.len() > 30, "{written:?}");
    assert_eq!(written, tested);
}

/// Of everything that a command needs, each alone is missed, and named with who can grant it.
#[test]
fn a_refusal_names_what_is_missing_and_how_to_grant_it() {
    let lead = parse("Lead");
    let status = parse("Status");
    let cases: [(Permission<'_>, &str); 6] = [
        (Permission::ModifyAllData, "`tieline user set bob --role administrator`"),
        (Permission::ManageConnections, "`tieline role set standard --manage-connections true`"),
        (Permission::Read(&lead), "`tieline role set standard --object Lead=read`"),
        (Permission::Create(&lead), "`tieline role set standard --object Lead=read,create`"),
        (Permission::Edit(&lead), "`tieline role set standard --object Lead=read,edit`"),
        (Permission::WriteField(&lead, &status), "`tieline role set standard --writable Lead.Status`"),
    ];
    let mut state = state();
    state.roles.insert(RoleName::standard(), Role::new(RoleName::standard()));
    for (permission, remedy) in cases {
        let permitted = matches!(permission, Permission::WriteField(..));
        assert_eq!(require(&state, &parse("bob"), permission).is_ok(), permitted, "{permission}");
        let refusal = missing(&state, &parse("bob"), permission);
        assert_eq!((refusal.kind, refusal.code), (crate::command::RefusalKind::Forbidden, "no_permission"));
        assert!(refusal.message.contains(&format!("bob needs {permission}")), "{refusal}");
        assert!(refusal.message.ends_with(remedy), "{refusal}");
    }
    assert!(missing(&state, &parse("eve"), Permission::ModifyAllData).message.contains("not an active user"));
    assert_eq!(require(&state, &UserName::connection_user(), Permission::ModifyAllData), Ok(()));
}
