//! People and permissions, driven as the daemon drives them: commands in, events folded, refusals out.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends at the first thing that is not as it has to be"
)]

use tieline_core::apply::apply;
use tieline_core::command::{Command, Context, NewToken, Refusal, Reply};
use tieline_core::engine::Engine;
use tieline_core::event::{Event, OrgCreated, TokenIssued, UserAdded};
use tieline_core::job::JobKind;
use tieline_core::people::{Edition, Licences, ObjectRights, OrgSettings, Permission, Role};
use tieline_core::publish::PublishRule;
use tieline_core::schema::standard_objects;
use tieline_core::sharing::Forwarding;
use tieline_core::state::{NotAdmitted, State};
use tieline_core::value::Value;
use tieline_core::{ConnectionId, Incarnation, RoleName, Timestamp, TokenId, UserName};

fn parse<T: std::str::FromStr<Err = tieline_core::InvalidId>>(text: &str) -> T {
    text.parse().unwrap()
}

struct Org {
    engine: Engine,
    now: Timestamp,
    drawn: u8,
}

fn token(byte: u8, expires: Option<Timestamp>) -> NewToken {
    NewToken { hash: [byte; 32], hint: "last".to_owned(), label: String::new(), expires }
}

impl Org {
    /// An org whose administrator is ann; bob has the role standard.
    fn with(settings: OrgSettings, sharing: bool) -> Self {
        let mut org = Self { engine: Engine::default(), now: Timestamp(1_000), drawn: 0 };
        let create = Command::CreateOrg {
            name: parse("acme"),
            admin: parse("ann"),
            token: token(1, None),
            objects: standard_objects(),
            settings,
            sharing,
        };
        org.ann(create).unwrap();
        org.ann(Command::AddUser { user: parse("bob"), email: None, role: RoleName::standard() }).unwrap();
        org
    }

    fn new() -> Self {
        Self::with(OrgSettings::default(), true)
    }

    fn state(&self) -> &State {
        self.engine.state()
    }

    fn run(&mut self, actor: &str, command: Command) -> Result<Reply, Refusal> {
        self.drawn += 1;
        let context = Context { now: self.now, actor: parse(actor), entropy: [self.drawn; 32] };
        Ok(self.engine.execute(&command, &context)?.1)
    }

    fn ann(&mut self, command: Command) -> Result<Reply, Refusal> {
        self.run("ann", command)
    }

    fn bob(&mut self, command: Command) -> Result<Reply, Refusal> {
        self.run("bob", command)
    }

    /// The code of a refusal.
    fn refused(&mut self, actor: &str, command: Command) -> &'static str {
        let shown = format!("{command:?}");
        self.run(actor, command).map(|reply| panic!("{shown}: {reply:?}")).unwrap_err().code
    }

    fn role(&mut self, role: Role) {
        self.ann(Command::SetRole { role: Box::new(role) }).unwrap();
    }

    fn invite(&mut self) -> Result<ConnectionId, &'static str> {
        let expires = self.now.plus_us(1_000);
        match self.ann(Command::Invite { secret_hash: [0; 32], expires, owner: None, label: String::new() }) {
            Ok(Reply::Connection(connection)) => Ok(connection),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(refusal.code),
        }
    }

    fn answered(&mut self, connection: ConnectionId, accept: bool) {
        let hello = Command::TakeHello {
            connection,
            from: parse("globex"),
            accept,
            user: parse("gus"),
            public_key: [9; 32],
            incarnation: Incarnation(1),
            by: None,
        };
        self.run("connection.user", hello).unwrap();
    }

    fn lead(&mut self, actor: &str) -> Result<Reply, Refusal> {
        let values = [("LastName", "Ng"), ("Company", "Initech")];
        let values = values.into_iter().map(|(name, value)| (parse(name), Value::text(value))).collect();
        self.run(actor, Command::CreateRecord { object: parse("Lead"), values, owner: None })
    }
}

fn change(user: &str) -> (UserName, Option<String>) {
    (parse(user), None)
}

fn set_role(user: &str, role: &str) -> Command {
    let (user, email) = change(user);
    Command::ChangeUser { user, email, role: Some(parse(role)), active: None }
}

fn set_active(user: &str, active: bool) -> Command {
    let (user, email) = change(user);
    Command::ChangeUser { user, email, role: None, active: Some(active) }
}

#[test]
fn sharing_is_enabled_once_and_for_good() {
    let mut org = Org::with(OrgSettings::default(), false);
    assert_eq!(org.invite(), Err("sharing_not_enabled"));
    let answer = Command::Answer {
        connection: ConnectionId(7),
        inviter: parse("globex"),
        public_key: [0; 32],
        secret_hash: [0; 32],
        expires: Timestamp(9_000),
        accept: true,
        owner: None,
        label: String::new(),
    };
    assert_eq!(org.refused("ann", answer), "sharing_not_enabled");
    let manager = Role { manage_connections: true, ..Role::new(parse("manager")) };
    let set = Command::SetRole { role: Box::new(manager) };
    assert_eq!(org.refused("ann", set.clone()), "sharing_not_enabled", "the permission is not there yet");
    assert!(!org.state().users.contains_key(&UserName::connection_user()));
    assert_eq!(org.refused("bob", Command::EnableSharing), "no_permission");
    assert_eq!(org.ann(Command::EnableSharing), Ok(Reply::Done));
    assert_eq!(org.ann(Command::EnableSharing), Ok(Reply::Unchanged));
    assert!(org.state().users.contains_key(&UserName::connection_user()));
    assert!(org.invite().is_ok() && org.ann(set).is_ok());
}

#[test]
fn the_connection_user_is_nobody_to_log_in_as() {
    let mut org = Org::new();
    let user = UserName::connection_user();
    for command in [
        Command::IssueToken { user: user.clone(), token: token(5, None) },
        Command::AddUser { user, email: None, role: RoleName::standard() },
        set_active("connection.user", false),
    ] {
        assert_eq!(org.refused("ann", command), "system_user");
    }
}

#[test]
fn a_licence_is_taken_by_a_sent_invitation_and_freed_when_it_ends() {
    let mut org = Org::new();
    let used = |org: &Org| org.state().licences(org.now);
    let first = org.invite().unwrap();
    let second = org.invite().unwrap();
    assert_eq!(used(&org), Licences { max: 2, used: 2 });
    let refusal = org
        .ann(Command::Invite {
            secret_hash: [0; 32],
            expires: Timestamp(9_000),
            owner: None,
            label: String::new(),
        })
        .unwrap_err();
    assert_eq!(refusal.code, "no_licence");
    assert!(refusal.message.starts_with("2 of 2 connection licences"), "{refusal}");
    // Declined.
    org.answered(first, false);
    let first = org.invite().unwrap();
    // Accepted ones keep theirs, until they are deactivated.
    org.answered(first, true);
    assert_eq!(org.invite(), Err("no_licence"));
    org.ann(Command::Deactivate { connection: first, by_partner: false }).unwrap();
    let third = org.invite().unwrap();
    // Revoked.
    org.ann(Command::Revoke { connection: second }).unwrap();
    assert_eq!(used(&org).used, 1);
    // Expired.
    org.now = org.now.plus_us(2_000);
    assert_eq!((used(&org).used, org.state().connections[&third].status.as_str()), (0, "pending"));
    // Received ones take none.
    let answer = Command::Answer {
        connection: ConnectionId(7),
        inviter: parse("globex"),
        public_key: [0; 32],
        secret_hash: [0; 32],
        expires: Timestamp(9_000),
        accept: true,
        owner: None,
        label: String::new(),
    };
    org.ann(answer).unwrap();
    assert_eq!(used(&org).used, 0);
    let settings = OrgSettings { connection_licences: Some(0), ..OrgSettings::default() };
    org.ann(Command::SetOrg { settings }).unwrap();
    assert_eq!(org.invite(), Err("no_licence"));
}

#[test]
fn a_connection_is_managed_by_somebody_who_is_there() {
    let mut org = Org::new();
    let invite = |owner: &str| Command::Invite {
        secret_hash: [0; 32],
        expires: Timestamp(9_000),
        owner: Some(parse(owner)),
        label: String::new(),
    };
    assert_eq!(org.refused("ann", invite("eve")), "unknown_user");
    assert_eq!(org.refused("ann", invite("connection.user")), "system_user");
    org.ann(set_active("bob", false)).unwrap();
    assert_eq!(org.refused("ann", invite("bob")), "user_inactive");
    org.ann(set_active("bob", true)).unwrap();
    let Ok(Reply::Connection(connection)) = org.ann(invite("bob")) else { panic!("a connection") };
    assert_eq!(org.state().connections[&connection].owner, parse("bob"));
}

#[test]
fn editions_say_who_sends_and_who_takes_part() {
    let of = |edition| OrgSettings { edition, ..OrgSettings::default() };
    let mut org = Org::with(of(Edition::Trial), true);
    assert_eq!(org.invite(), Err("edition_cannot_send"));
    org.ann(Command::SetOrg { settings: of(Edition::Professional) }).unwrap();
    let open = org.invite().unwrap();
    assert_eq!(org.refused("ann", Command::SetOrg { settings: of(Edition::Personal) }), "open_connections");
    org.ann(Command::Revoke { connection: open }).unwrap();
    org.ann(Command::SetOrg { settings: of(Edition::Personal) }).unwrap();
    assert_eq!(org.invite(), Err("edition_cannot_share"));
    let mut alone = Org::with(of(Edition::Personal), false);
    assert_eq!(alone.refused("ann", Command::EnableSharing), "edition_cannot_share");
}

#[test]
fn what_a_role_lacks_is_refused_object_by_object_and_field_by_field() {
    let mut org = Org::new();
    let Ok(Reply::Record(lead)) = org.lead("ann") else { panic!("a lead") };
    let status = |value: &str| Command::UpdateRecord {
        record: lead,
        values: [(parse("Status"), Value::picklist(value.into()))].into_iter().collect(),
    };
    assert_eq!(
        org.bob(status("Working - Contacted")),
        Ok(Reply::Done),
        "standard users work with every record"
    );
    let rights = ObjectRights {
        read: true,
        create: false,
        edit: true,
        read_only: [parse("Status")].into_iter().collect(),
    };
    org.role(Role {
        manage_connections: true,
        objects: [(parse("Lead"), rights)].into_iter().collect(),
        ..Role::new(RoleName::standard())
    });
    let refusal = org.bob(status("Open - Not Contacted")).unwrap_err();
    assert!(refusal.message.starts_with("bob needs edit on Lead.Status"), "{refusal}");
    assert_eq!(org.lead("bob").unwrap_err().code, "no_permission");
    let connection = org.invite().unwrap();
    org.answered(connection, true);
    let publish = |object: &str, field: &str| Command::Publish {
        connection,
        object: parse(object),
        rule: Some(PublishRule::new(parse(object), vec![parse(field)], 0)),
    };
    assert_eq!(
        org.refused("bob", publish("Lead", "Status")),
        "no_permission",
        "a field that bob cannot edit"
    );
    assert_eq!(
        org.refused("bob", publish("Account", "Name")),
        "no_permission",
        "an object that bob cannot edit"
    );
    assert!(org.bob(publish("Lead", "LastName")).is_ok());
    assert!(org.bob(Command::Forward { record: lead, connection }).is_ok());
}

#[test]
fn deactivating_a_user_takes_effect_at_once() {
    let mut org = Org::new();
    org.lead("bob").unwrap();
    let connection = org.invite().unwrap();
    org.answered(connection, true);
    let rule = Some(PublishRule::new(parse("Lead"), vec![parse("LastName")], 0));
    org.ann(Command::Publish { connection, object: parse("Lead"), rule }).unwrap();
    let kind = JobKind::Forward {
        connection,
        object: parse("Lead"),
        records: None,
        view: None,
        how: Forwarding::default(),
    };
    let Ok(Reply::Job(job)) = org.bob(Command::StartJob { kind }) else { panic!("a job") };
    org.ann(Command::IssueToken { user: parse("bob"), token: token(3, None) }).unwrap();
    assert_eq!(org.state().admit(&[3; 32], org.now), Ok(&parse("bob")));
    org.ann(set_active("bob", false)).unwrap();
    assert_eq!(org.state().admit(&[3; 32], org.now), Err(NotAdmitted::Inactive(parse("bob"))));
    assert_eq!(org.lead("bob").unwrap_err().code, "no_permission");
    assert_eq!(
        org.refused("ann", Command::IssueToken { user: parse("bob"), token: token(4, None) }),
        "user_inactive"
    );
    // What was asked for before is not done any more.
    org.bob(Command::AdvanceJob { job, allowance: 10 }).unwrap();
    assert!(org.state().jobs.is_empty());
    assert!(org.state().connections[&connection].shares.is_empty());
    org.ann(set_active("bob", true)).unwrap();
    assert_eq!(org.state().admit(&[3; 32], org.now), Ok(&parse("bob")));
}

#[test]
fn tokens_end_when_they_are_revoked_or_their_time_is_over() {
    let mut org = Org::new();
    let soon = org.now.plus_us(10);
    let issue = |byte, expires| Command::IssueToken { user: parse("bob"), token: token(byte, expires) };
    let Ok(Reply::Token(short)) = org.ann(issue(3, Some(soon))) else { panic!("a token") };
    let Ok(Reply::Token(long)) = org.ann(issue(4, None)) else { panic!("a token") };
    assert_eq!(org.refused("bob", issue(5, None)), "no_permission", "nobody makes tokens for himself");
    assert_eq!(org.refused("ann", issue(5, Some(org.now))), "already_expired");
    let revoke = |user: &str, token| Command::RevokeToken { user: parse(user), token };
    let anns = *org.state().users[&parse::<UserName>("ann")].tokens.keys().next().unwrap();
    assert_eq!(org.refused("bob", revoke("ann", anns)), "no_permission");
    assert_eq!(org.refused("ann", revoke("bob", TokenId(1))), "unknown_token");
    org.now = org.now.plus_us(10);
    let (user, hint): (UserName, String) = (parse("bob"), "last".to_owned());
    let expired = NotAdmitted::Expired { user: user.clone(), hint: hint.clone(), at: soon };
    assert_eq!(org.state().admit(&[3; 32], org.now), Err(expired));
    assert_eq!(org.bob(revoke("bob", long)), Ok(Reply::Done), "everybody may revoke their own");
    assert_eq!(org.bob(revoke("bob", long)), Ok(Reply::Unchanged));
    let revoked = NotAdmitted::Revoked { user, hint, at: org.now };
    assert_eq!(org.state().admit(&[4; 32], org.now), Err(revoked));
    assert_eq!(org.state().admit(&[9; 32], org.now), Err(NotAdmitted::Unknown));
    // The index of tokens is derived: a state from a snapshot has it, too.
    let again = State::from_bytes(&org.state().to_bytes()).unwrap();
    assert_eq!(again.hash(), org.state().hash());
    assert_eq!(again.admit(&[1; 32], org.now), Ok(&parse("ann")));
    assert!(org.state().users[&parse::<UserName>("bob")].tokens.contains_key(&short));
}

#[test]
fn somebody_is_always_left_who_may_do_everything() {
    let mut org = Org::new();
    assert_eq!(org.refused("ann", set_active("ann", false)), "last_administrator");
    assert_eq!(org.refused("ann", set_role("ann", "standard")), "last_administrator");
    org.role(Role { modify_all_data: true, ..Role::new(parse("chief")) });
    org.ann(set_role("bob", "chief")).unwrap();
    org.ann(set_role("ann", "standard")).unwrap();
    let lesser = Command::SetRole { role: Box::new(Role::new(parse("chief"))) };
    assert_eq!(org.refused("bob", lesser), "last_administrator");
    assert_eq!(org.refused("ann", Command::EnableSharing), "no_permission");
}

#[test]
fn roles_that_contradict_themselves_are_refused() {
    let mut org = Org::new();
    let sales = || Role::new(parse("sales"));
    let blind = ObjectRights { edit: true, ..ObjectRights::default() };
    let with = |object: &str, rights: ObjectRights| Role {
        objects: [(parse(object), rights)].into_iter().collect(),
        ..sales()
    };
    let unknown_field =
        ObjectRights { read_only: [parse("Stauts")].into_iter().collect(), ..ObjectRights::all() };
    for (role, code) in [
        (Role { portal: true, manage_connections: true, ..sales() }, "portal_role"),
        (Role { portal: true, modify_all_data: true, ..sales() }, "portal_role"),
        (Role { other_objects: blind.clone(), ..sales() }, "bad_role"),
        (with("Lead", blind), "bad_role"),
        (with("Nothing__c", ObjectRights::all()), "bad_role"),
        (with("Lead", unknown_field.clone()), "bad_role"),
        (Role { other_objects: unknown_field, ..sales() }, "bad_role"),
        (Role::new(RoleName::administrator()), "built_in_role"),
    ] {
        assert_eq!(org.refused("ann", Command::SetRole { role: Box::new(role.clone()) }), code, "{role:?}");
    }
    org.role(sales());
    org.ann(set_role("bob", "sales")).unwrap();
    let remove = |role: &str| Command::RemoveRole { role: parse(role) };
    assert_eq!(org.refused("ann", remove("sales")), "role_in_use");
    assert_eq!(org.refused("ann", remove("standard")), "built_in_role");
    assert_eq!(org.refused("ann", remove("nobody")), "unknown_role");
    org.ann(set_role("bob", "standard")).unwrap();
    assert_eq!(org.ann(remove("sales")), Ok(Reply::Done));
    assert!(!org.state().roles.contains_key(&parse::<RoleName>("sales")));
}

/// A log of the first version: its administrators do everything, its others what everybody may, and
/// it had a Connection User from the beginning.
#[test]
fn logs_of_the_first_version_open_as_they_were() {
    let mut state = State::default();
    for event in [
        Event::from(OrgCreated { name: parse("acme"), incarnation: Incarnation(1) }),
        UserAdded { user: UserName::connection_user(), admin: false }.into(),
        UserAdded { user: parse("ann"), admin: true }.into(),
        TokenIssued { user: parse("ann"), hash: [1; 32] }.into(),
        UserAdded { user: parse("bob"), admin: false }.into(),
    ] {
        apply(&mut state, Timestamp(1), &event);
    }
    assert!(state.sharing_enabled());
    assert_eq!(state.licences(Timestamp(1)), Licences { max: 2, used: 0 });
    assert_eq!(state.admit(&[1; 32], Timestamp(2)), Ok(&parse("ann")));
    assert!(state.may(&parse("ann"), Permission::ModifyAllData));
    let lead = parse("Lead");
    assert!(state.may(&parse("bob"), Permission::Edit(&lead)));
    assert!(!state.may(&parse("bob"), Permission::ManageConnections));
}
