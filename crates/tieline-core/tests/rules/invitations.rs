//! Invitations by mail: whom they go to, what they say, what they cost, and how they end.

use std::collections::BTreeMap;

use tieline_core::command::{Command, InquiryCommand, InvitationCommand, Refusal, Reply, TemplateCommand};
use tieline_core::effect::{CONNECTION_URL_MARK, Effect, Mail};
use tieline_core::inquiry::InquiryReply;
use tieline_core::invitation::{InvitationDetails, ReceivedInvitation};
use tieline_core::mail_template::{MailPurpose, MailTemplate};
use tieline_core::people::OrgSettings;
use tieline_core::schema::standard_objects;
use tieline_core::state::ConnectionStatus;
use tieline_core::template::ConnectionTemplate;
use tieline_core::value::Value;
use tieline_core::{ConnectionId, Incarnation, RecordId};

use crate::kit::{Org, deal, name};

const DAY_US: i64 = 86_400_000_000;

/// An org with contacts and accounts, and two licences.
fn org() -> Org {
    let mut org = Org::new("acme", deal());
    for schema in standard_objects().into_iter().filter(|s| ["Contact", "Account"].contains(&s.name.as_str()))
    {
        org.run(Command::DefineObject { schema: Box::new(schema) });
    }
    org.run(Command::SetOrg {
        settings: OrgSettings { connection_licences: Some(2), ..OrgSettings::default() },
    });
    let template =
        ConnectionTemplate { name: name("standard"), publish: BTreeMap::new(), subscribe: BTreeMap::new() };
    org.run(Command::Template(TemplateCommand::Set { template: Box::new(template) }));
    org
}

fn contact(org: &mut Org, last: &str, email: &str) -> RecordId {
    org.create(
        "Contact",
        &[("FirstName", Value::text("Pat")), ("LastName", Value::text(last)), ("Email", Value::text(email))],
    )
}

fn details(contact: RecordId) -> InvitationDetails {
    InvitationDetails {
        contact,
        account: None,
        owner: None,
        label: String::new(),
        mail_template: None,
        template: Some(name("standard")),
        expires_in_s: 86_400,
    }
}

fn send(org: &mut Org, details: InvitationDetails) -> Result<Reply, Refusal> {
    let expires = org.now.plus_us(DAY_US);
    let command =
        InvitationCommand::Send { details: Box::new(details), secret_hash: [5; 32], expires, again: false };
    org.attempt(Command::Invitation(command))
}

fn sent(org: &mut Org, details: InvitationDetails) -> ConnectionId {
    match send(org, details) {
        Ok(Reply::Connection(id)) => id,
        other => panic!("{other:?}"),
    }
}

fn mails(org: &Org) -> Vec<Mail> {
    let open = org.state().effects.open().values();
    let mails = open.filter_map(|open| match &*open.effect {
        Effect::Mail(mail) => Some(mail.clone()),
        Effect::Webhook(_) => None,
    });
    mails.collect()
}

fn hello(connection: ConnectionId, accept: bool) -> Command {
    Command::TakeHello {
        connection,
        from: name("globex"),
        accept,
        user: name("gus"),
        public_key: [4; 32],
        incarnation: Incarnation(7),
        by: Some(name("pat")),
    }
}

#[test]
fn an_invitation_goes_to_a_contact_with_an_address() {
    let mut org = org();
    let account = org.create("Account", &[("Name", Value::text("Globex Ltd"))]);
    let nobody = contact(&mut org, "Low", "");
    assert_eq!(send(&mut org, details(nobody)).unwrap_err().code, "no_address");
    assert_eq!(send(&mut org, details(account)).unwrap_err().code, "unknown_record");
    let pat = contact(&mut org, "Ng", "pat@globex.example");
    let id = sent(&mut org, InvitationDetails { account: Some(account), ..details(pat) });
    let connection = org.connection(id);
    let invited = connection.contact.as_ref().unwrap();
    assert_eq!((invited.name.as_str(), invited.account_name.as_str()), ("Pat Ng", "Globex Ltd"));
    assert_eq!(
        (connection.label.as_str(), connection.template.as_ref().map(|given| given.template.as_str())),
        ("Globex Ltd", Some("standard"))
    );
    let [mail] = mails(&org).try_into().unwrap();
    assert_eq!((mail.to.as_str(), mail.from_name.as_str()), ("pat@globex.example", "ann of acme"));
    assert_eq!(mail.invitation, Some(id));
    assert!(mail.text.contains("Dear Pat Ng") && mail.text.contains(CONNECTION_URL_MARK), "{}", mail.text);
    assert_eq!(send(&mut org, details(pat)).unwrap_err().code, "already_invited");
}

#[test]
fn a_saved_invitation_takes_no_licence_until_it_is_sent() {
    let mut org = org();
    let pats: Vec<_> =
        (0..3).map(|at| contact(&mut org, &format!("Ng{at}"), &format!("pat{at}@x.example"))).collect();
    let save = InvitationCommand::Save { connection: None, details: Box::new(details(pats[0])) };
    let Reply::Connection(draft) = org.run(Command::Invitation(save)) else { panic!("a draft") };
    assert_eq!(org.state().licences(org.now).used, 0);
    assert!(!org.state().connections.contains_key(&draft), "nobody can answer it");
    sent(&mut org, details(pats[1]));
    sent(&mut org, details(pats[2]));
    let expires = org.now.plus_us(DAY_US);
    let command = Command::Invitation(InvitationCommand::SendSaved {
        connection: draft,
        secret_hash: [6; 32],
        expires,
    });
    assert_eq!(org.attempt(command.clone()).unwrap_err().code, "no_licence");
    let other = org.state().connections.keys().copied().next().unwrap();
    org.run(Command::Revoke { connection: other });
    assert_eq!(org.run(command.clone()), Reply::Connection(draft));
    assert_eq!(org.connection(draft).status, ConnectionStatus::Pending);
    assert_eq!(org.attempt(command).unwrap_err().code, "unknown_invitation");
}

#[test]
fn each_end_of_an_invitation_has_its_own_refusal() {
    let mut org = org();
    let pat = contact(&mut org, "Ng", "pat@globex.example");
    let later = |connection| {
        Command::Invitation(InvitationCommand::TakePostponement {
            connection,
            from: name("globex"),
            user: name("pat"),
        })
    };
    let first = sent(&mut org, details(pat));
    // To decide later uses nothing up.
    org.run(later(first));
    assert_eq!(org.run(later(first)), Reply::Unchanged);
    let postponed = org.connection(first).postponed.clone().unwrap();
    assert_eq!((postponed.partner, postponed.user), (name("globex"), name("pat")));
    org.run(hello(first, true));
    let connection = org.connection(first);
    assert_eq!(
        (&connection.partner_owner, &connection.answered_by),
        (&Some(name("gus")), &Some(name("pat")))
    );
    assert_eq!((connection.answered, &connection.postponed), (Some(org.now), &None));
    assert_eq!(org.attempt(later(first)).unwrap_err().code, "used");
    let mut other = hello(first, true);
    if let Command::TakeHello { public_key, .. } = &mut other {
        *public_key = [8; 32];
    }
    assert_eq!(org.attempt(other).unwrap_err().code, "used");

    let ray = contact(&mut org, "Ray", "ray@x.example");
    let second = sent(&mut org, details(ray));
    org.run(Command::Revoke { connection: second });
    assert_eq!(org.attempt(hello(second, true)).unwrap_err().code, "revoked");
    assert_eq!(org.attempt(later(second)).unwrap_err().code, "revoked");
    let third = sent(&mut org, details(ray));
    org.now = org.now.plus_us(DAY_US);
    assert_eq!(org.attempt(hello(third, true)).unwrap_err().code, "expired");
    assert_eq!(org.attempt(later(third)).unwrap_err().code, "expired");
    let fourth = sent(&mut org, details(ray));
    org.run(hello(fourth, false));
    assert_eq!(org.connection(fourth).status, ConnectionStatus::Declined);
    assert_eq!(org.attempt(hello(fourth, true)).unwrap_err().code, "used");
}

#[test]
fn an_invitation_of_another_org_can_be_decided_on_later() {
    let mut org = org();
    let invitation = ReceivedInvitation {
        connection: ConnectionId(77),
        inviter: name("globex"),
        public_key: [3; 32],
        secret_hash: [2; 32],
        expires: org.now.plus_us(DAY_US),
    };
    let postpone = |invitation: &ReceivedInvitation| {
        Command::Invitation(InvitationCommand::Postpone { invitation: invitation.clone() })
    };
    org.run(postpone(&invitation));
    assert!(org.state().invitations.postponed.contains_key(&ConnectionId(77)));
    let own = ReceivedInvitation { inviter: name("acme"), ..invitation };
    assert_eq!(org.attempt(postpone(&own)).unwrap_err().code, "own_invitation");
    let answer = |accept| Command::Answer {
        connection: ConnectionId(77),
        inviter: name("globex"),
        public_key: [3; 32],
        secret_hash: [2; 32],
        expires: invitation.expires,
        accept,
        owner: None,
        label: String::new(),
    };
    org.run(answer(true));
    assert!(org.state().invitations.postponed.is_empty());
    assert_eq!(org.connection(ConnectionId(77)).answered_by, Some(name("ann")));
    assert_eq!(org.attempt(postpone(&invitation)).unwrap_err().code, "already_answered");
    // While the answer is on its way it can be said again; afterwards the invitation is used up.
    assert_eq!(org.run(answer(true)), Reply::Connection(ConnectionId(77)));
    assert_eq!(org.attempt(answer(false)).unwrap_err().code, "already_answered");
    org.run(Command::TakeWelcome {
        connection: ConnectionId(77),
        incarnation: Incarnation(5),
        owner: Some(name("bob")),
    });
    let refusal = org.attempt(answer(true)).unwrap_err();
    assert_eq!(refusal.code, "used");
    assert!(refusal.message.contains("it is active"), "{}", refusal.message);
    org.now = invitation.expires;
    let late = ReceivedInvitation { connection: ConnectionId(78), ..invitation };
    assert_eq!(org.attempt(postpone(&late)).unwrap_err().code, "expired");
}

#[test]
fn a_template_of_the_org_says_what_its_mails_say() {
    let mut org = org();
    let pat = contact(&mut org, "<Ng>", "pat@globex.example");
    let template = MailTemplate {
        name: name("branded"),
        purpose: MailPurpose::Invitation,
        subject: "{{org}} for {{contact}}".to_owned(),
        text: "{{connection_url}}".to_owned(),
        html: Some("<p>{{contact}} {{connection_url}}</p>".to_owned()),
    };
    let set = |template: MailTemplate| {
        Command::Invitation(InvitationCommand::SetTemplate { template: Box::new(template) })
    };
    let bare = MailTemplate { text: "hi".to_owned(), ..template.clone() };
    assert_eq!(org.attempt(set(bare)).unwrap_err().code, "bad_mail_template");
    let unknown = InvitationDetails { mail_template: Some(name("branded")), ..details(pat) };
    assert_eq!(send(&mut org, unknown.clone()).unwrap_err().code, "unknown_mail_template");
    org.run(set(template.clone()));
    assert_eq!(org.run(set(template)), Reply::Unchanged);
    sent(&mut org, unknown);
    let [mail] = mails(&org).try_into().unwrap();
    assert_eq!(mail.subject, "acme for Pat <Ng>");
    assert_eq!(mail.html.unwrap(), format!("<p>Pat &lt;Ng&gt; {CONNECTION_URL_MARK}</p>"));
    // A template for inquiries invites nobody.
    let wrong = InvitationDetails { mail_template: Some(name("inquiry")), ..details(pat) };
    assert_eq!(send(&mut org, wrong).unwrap_err().code, "bad_mail_template");
}

#[test]
fn answers_of_contacts_make_the_directory() {
    let mut org = org();
    let pat = contact(&mut org, "Ng", "pat@globex.example");
    let ask = |again| Command::Inquiry(InquiryCommand::Ask { contact: pat, template: None, again });
    org.run(ask(false));
    assert_eq!(org.attempt(ask(false)).unwrap_err().code, "already_asked");
    let id = *org.state().inquiries.all().keys().next().unwrap();
    let [mail] = mails(&org).try_into().unwrap();
    assert!(mail.text.contains(&id.to_string()) && mail.invitation.is_none(), "{}", mail.text);
    let record = |reply, partner: Option<&str>, listed| {
        let org = partner.map(name);
        Command::Inquiry(InquiryCommand::Record { id, reply, org, listed, note: String::new() })
    };
    let listed =
        |org: &Org| org.state().inquiries.directory().keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(org.attempt(record(InquiryReply::Yes, None, true)).unwrap_err().code, "no_org_named");
    org.run(record(InquiryReply::Yes, Some("globex"), false));
    assert!(listed(&org).is_empty(), "it did not agree");
    org.run(record(InquiryReply::Yes, Some("globex"), true));
    assert_eq!(listed(&org), ["globex"]);
    org.run(record(InquiryReply::Yes, Some("globex"), false));
    assert!(listed(&org).is_empty(), "it took that back");
}
