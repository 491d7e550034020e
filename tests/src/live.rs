//! Orgs for tests: real daemons in this process, with their own data directory, keys and log on
//! disk, over a real nats-server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tieline_bus::OrgKeys;
use tieline_bus::broker_config::OrgAccess;
use tieline_core::command::{Command, Reply};
use tieline_core::state::State;
use tieline_core::value::Value;
use tieline_core::{ConnectionId, FieldName, ObjectName, OrgName, RecordId, UserName};
use tieline_daemon::Daemon;
use tieline_daemon::config::Config;
use tieline_daemon::init::{NewOrg, create_org};
use tieline_daemon::org::{ExecuteError, OrgHandle};

/// How long a test waits for something that has to come: longer than the longest pause of a sender
/// that goes back to the same figure once more.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The administrator of every org of a test.
#[must_use]
pub fn admin() -> UserName {
    parse("admin")
}

/// A name or id of a test, which is always valid.
#[must_use]
pub fn parse<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("a valid name")
}

/// The data directory of an org, made but not served.
pub struct OrgHome {
    /// Its name.
    pub name: OrgName,
    home: TempDir,
}

impl OrgHome {
    /// Makes keys and log of the org `name`.
    #[must_use]
    pub fn make(name: &str) -> Self {
        let (name, home): (OrgName, _) = (parse(name), tempfile::tempdir().expect("a directory"));
        let keys = OrgKeys::generate(name.clone()).expect("keys");
        keys.save(&tieline_daemon::keys_dir(home.path())).expect("saved keys");
        let mut new = NewOrg::new(name.clone(), admin());
        // A test may connect one org with many.
        new.settings.connection_licences = Some(1_000);
        create_org(home.path(), new, "tl_test").expect("an org");
        Self { name, home }
    }

    /// The same on a disk of its own, where `parent` lies. It is made elsewhere: a new org wants more
    /// room than a small disk has.
    #[must_use]
    pub fn make_in(name: &str, parent: &Path) -> Self {
        let made = Self::make(name);
        let home = tempfile::tempdir_in(parent).expect("a directory");
        copy_dir(made.path(), home.path());
        let synced = std::process::Command::new("sync").arg("-f").arg(parent).status();
        assert!(synced.is_ok_and(|status| status.success()), "the copy was not synced");
        Self { home, ..made }
    }

    /// The org `name` with a copy of a data directory that was made elsewhere.
    #[must_use]
    pub fn copied(name: &str, from: &Path) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        copy_dir(from, home.path());
        Self { name: parse(name), home }
    }

    /// Its data directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.home.path()
    }

    /// What the broker's configuration needs of it.
    #[must_use]
    pub fn access(&self) -> OrgAccess {
        OrgKeys::load(&tieline_daemon::keys_dir(self.path())).expect("keys").public().into()
    }

    /// A configuration on loopback with a port of the system's choice.
    #[must_use]
    pub fn config(&self, broker: &str) -> Config {
        let mut config = Config::defaults().expect("the defaults");
        config.data_dir = self.path().to_owned();
        config.broker.url = parse(broker.trim_start_matches("nats://"));
        config.http.listen = ([127, 0, 0, 1], 0).into();
        config.store.min_free_bytes = 16 << 20;
        config
    }

    /// Starts a daemon of the org in this process.
    pub async fn start(&self, broker: &str) -> Org {
        Org::serve(&self.config(broker)).await
    }

    /// Copies the whole data directory, as a backup would while the daemon is stopped.
    #[must_use]
    pub fn backup(&self) -> TempDir {
        let copy = tempfile::tempdir().expect("a directory");
        copy_dir(self.path(), copy.path());
        copy
    }

    /// Puts a backup in the place of the data directory.
    pub fn restore(&self, backup: &Path) {
        std::fs::remove_dir_all(self.path()).expect("removed");
        copy_dir(backup, self.path());
    }
}

/// Copies a directory with everything in it, modes included.
pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    let mode = std::fs::metadata(from).expect("metadata").permissions();
    std::fs::set_permissions(to, mode).expect("permissions");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target: PathBuf = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// A running org.
pub struct Org {
    /// The daemon.
    pub daemon: Daemon,
    actor: UserName,
}

impl Org {
    /// Starts the daemon of `config` in this process.
    pub async fn serve(config: &Config) -> Self {
        let daemon = Daemon::start(config, false).await.expect("a daemon");
        Self { daemon, actor: admin() }
    }

    /// The same for a data directory that was put back: the log is taken as it is, and a new life
    /// begins.
    pub async fn recover(config: &Config) -> Self {
        let daemon = Daemon::start(config, true).await.expect("a daemon");
        Self { daemon, actor: admin() }
    }

    /// Its handle.
    #[must_use]
    pub const fn handle(&self) -> &OrgHandle {
        self.daemon.handle()
    }

    /// Executes a command as the administrator.
    ///
    /// # Errors
    /// It was refused.
    pub async fn try_execute(&self, command: Command) -> Result<Reply, ExecuteError> {
        Ok(self.handle().execute(command, &self.actor).await?.reply)
    }

    /// Executes a command that has to succeed.
    pub async fn execute(&self, command: Command) -> Reply {
        let shown = format!("{command:?}");
        self.try_execute(command).await.unwrap_or_else(|error| panic!("{shown}: {error}"))
    }

    /// Waits until `look` finds something in the durable state, looking at every change.
    pub async fn until<T: Send>(&self, what: &str, look: impl Fn(&State) -> Option<T> + Send + Sync) -> T {
        let waiting = async {
            let mut durable = self.handle().durable();
            loop {
                durable.borrow_and_update();
                if let Some(found) = self.handle().read(&look).await {
                    return found;
                }
                durable.changed().await.expect("a running daemon");
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .unwrap_or_else(|_| panic!("{what} did not happen in time"))
    }

    /// Creates a record.
    pub async fn create(&self, object: &str, fields: &[(&str, Value)]) -> RecordId {
        let command = Command::CreateRecord { object: parse(object), values: values(fields), owner: None };
        match self.execute(command).await {
            Reply::Record(record) => record,
            other => panic!("no record: {other:?}"),
        }
    }

    /// Writes fields of a record.
    pub async fn update(&self, record: RecordId, fields: &[(&str, Value)]) {
        self.execute(Command::UpdateRecord { record, values: values(fields) }).await;
    }

    /// The value of a field, once it is `expected`.
    pub async fn until_value(&self, record: RecordId, field: &str, expected: &Value) {
        let name: FieldName = parse(field);
        self.until(&format!("{field} = {expected:?}"), |state| {
            (state.record(record)?.value(&name) == expected).then_some(())
        })
        .await;
    }
}

/// Fields with their values.
#[must_use]
pub fn values(fields: &[(&str, Value)]) -> tieline_core::vecmap::VecMap<FieldName, Value> {
    fields.iter().map(|(name, value)| (parse(name), value.clone())).collect()
}

/// A text value.
#[must_use]
pub fn text(text: &str) -> Value {
    Value::text(text)
}

/// A picklist value.
#[must_use]
pub fn pick(value: &str) -> Value {
    Value::picklist(value.into())
}

/// Invites `invited` on behalf of `inviter`, accepts, and waits until both sides know.
pub async fn connect(inviter: &Org, invited: &Org) -> ConnectionId {
    use tieline_core::state::ConnectionStatus::Active;
    let (secret, secret_hash) = inviter.handle().new_secret().expect("randomness");
    let expires = tieline_daemon::clock::now().plus_us(3_600_000_000);
    let invite = Command::Invite { secret_hash, expires, owner: None, label: String::new() };
    let Reply::Connection(id) = inviter.execute(invite).await else { panic!("no connection") };
    let url = inviter.handle().invite_url(id, secret, expires);
    let url = invited.handle().parse_url(&url).expect("a URL");
    let answer = Command::Answer {
        connection: url.connection,
        inviter: url.inviter.clone(),
        public_key: url.inviter_public_key,
        secret_hash: *url.secret_hash().as_bytes(),
        expires: url.expires,
        accept: true,
        owner: None,
        label: String::new(),
    };
    invited.execute(answer).await;
    for org in [inviter, invited] {
        org.until("an active connection", |state| {
            (state.connections.get(&id)?.status == Active).then_some(())
        })
        .await;
    }
    id
}

/// Publishes fields of an object.
pub async fn publish(org: &Org, connection: ConnectionId, object: &str, fields: &[&str]) {
    let object: ObjectName = parse(object);
    let fields = fields.iter().map(|field| parse(field)).collect();
    let rule = tieline_core::publish::PublishRule::new(object.clone(), fields, 0);
    org.execute(Command::Publish { connection, object, rule: Some(rule) }).await;
}

/// Subscribes fields of an object of the same name, each to the field of the same name.
pub async fn subscribe(
    org: &Org,
    connection: ConnectionId,
    object: &str,
    fields: &[&str],
    auto_accept: bool,
) {
    use tieline_core::mapping::{FieldMapping, SubscribeRule};
    let object: ObjectName = parse(object);
    org.until("a catalogue", |state| {
        let published = state.connections.get(&connection)?.catalogue.get(&object)?;
        fields.iter().all(|field| published.field(&parse(field)).is_some()).then_some(())
    })
    .await;
    let rule = SubscribeRule {
        remote: object.clone(),
        local: object.clone(),
        auto_accept,
        accept_whole: false,
        owner: None,
        fields: fields.iter().map(|field| FieldMapping::rename(parse(field), parse(field))).collect(),
        version: 0,
    };
    org.execute(Command::Subscribe { connection, object, rule: Some(rule) }).await;
}

/// Two orgs that publish and subscribe each other's leads, on one broker.
pub struct Pair {
    /// The broker.
    pub broker: crate::nats::NatsServer,
    /// The data directory of the first.
    pub acme: OrgHome,
    /// The data directory of the second.
    pub globex: OrgHome,
    /// The first, which invited.
    pub a: Org,
    /// The second, which accepts leads by itself.
    pub b: Org,
    /// Their connection.
    pub connection: ConnectionId,
}

/// The lead fields that a pair shares.
pub const LEAD_FIELDS: [&str; 6] = ["LastName", "Company", "Status", "City", "Website", "Rating"];

impl Pair {
    /// Starts broker and orgs, connects them, and sets up leads both ways.
    pub async fn start() -> Self {
        use crate::nats::{Edition, NatsServer};
        let (acme, globex) = (OrgHome::make("acme"), OrgHome::make("globex"));
        let orgs = vec![acme.access(), globex.access()];
        let broker = NatsServer::start(Edition::Pinned, orgs).expect("a broker").expect("the pinned edition");
        let (a, b) = (acme.start(&broker.url()).await, globex.start(&broker.url()).await);
        let connection = connect(&a, &b).await;
        publish(&a, connection, "Lead", &LEAD_FIELDS).await;
        subscribe(&b, connection, "Lead", &LEAD_FIELDS, true).await;
        publish(&b, connection, "Lead", &LEAD_FIELDS).await;
        subscribe(&a, connection, "Lead", &LEAD_FIELDS, true).await;
        a.until("the partner's subscription", |state| {
            state.connections.get(&connection)?.taken.contains_key(&parse::<ObjectName>("Lead")).then_some(())
        })
        .await;
        Self { broker, acme, globex, a, b, connection }
    }

    /// Creates a lead at the first org, shares it, and waits for the copy.
    pub async fn share_lead(&self, name: &str) -> (RecordId, RecordId) {
        let lead = self.a.create("Lead", &[("LastName", text(name)), ("Company", text("Sorbonne"))]).await;
        self.a.execute(Command::Forward { record: lead, connection: self.connection }).await;
        (lead, self.copy_of(lead).await)
    }

    /// The copy of a lead of the first org at the second, once it is there and its share active on
    /// both sides.
    pub async fn copy_of(&self, lead: RecordId) -> RecordId {
        use tieline_core::state::ShareStatus::Active;
        let share = tieline_core::ShareId::derive(self.connection, &self.acme.name, lead);
        let at = |org| {
            Org::until(org, "an active share", move |state: &State| {
                state.share(self.connection, share).filter(|share| share.status == Active)?.record
            })
        };
        at(&self.a).await;
        at(&self.b).await
    }

    /// Waits until every counted message of both sides has an outcome that both know, and the
    /// counters add up.
    pub async fn until_settled(&self) {
        let id = self.connection;
        for (sender, receiver) in [(&self.a, &self.b), (&self.b, &self.a)] {
            let counted = sender
                .until("all outcomes told", |state| {
                    let outbox = &state.connections[&id].outbox;
                    (outbox.outcomes.received == outbox.counted).then_some(outbox.counted)
                })
                .await;
            let counts = receiver.handle().read(|state| state.connections[&id].inbound.counts).await;
            assert!(counts.balanced(), "{counts:?}");
            assert_eq!(counts.received, counted, "{counts:?}");
        }
    }

    /// Stops both daemons.
    pub async fn stop(self) {
        self.a.daemon.stop().await;
        self.b.daemon.stop().await;
    }
}
