//! Two orgs that share records, and the changes that go from the one to the other.

use serde_json::{Value as Json, json};
use tieline_bus::{DirectionKeys, OrgKeys};
use tieline_core::command::{Command, Reply};
use tieline_core::link::Link;
use tieline_core::mapping::{FieldMapping, PicklistMapping, SubscribeRule, Unmapped};
use tieline_core::publish::PublishRule;
use tieline_core::schema::{ObjectSchema, standard_objects};
use tieline_core::value::Value;
use tieline_core::{FieldName, Position, RecordId};

use crate::org::{NOW, Org, context};
use crate::stages;

const RECORDS: usize = 200;
/// Changes that enter in one request.
const REQUEST: usize = 200;
/// Requests that are made durable together, and sent before the next.
const REQUESTS: usize = 5;
const ROUNDS: usize = 2;
/// How many changes go through every stage.
pub(crate) const CHANGES: usize = REQUEST * REQUESTS * ROUNDS;
const CHANGE_BYTES: usize = 300;
const STATUSES: [&str; 2] = ["Open - Not Contacted", "Working - Contacted"];
const FIELDS: [&str; 7] =
    ["City", "Company", "Description", "LastName", "NumberOfEmployees", "Status", "Website"];
const RULES: &str = r#"
extends = "Lead"
[rules.known_city]
condition = "City == 'Atlantis'"
message = "Atlantis is not served"
[rules.sane_size]
condition = "NumberOfEmployees != null && NumberOfEmployees < 0"
message = "A company has no negative number of employees"
[rules.site]
condition = "Website != null && Website == 'http://localhost'"
message = "A website is reachable"
"#;

/// Does the work: every change goes through every stage.
pub(crate) fn run() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut a, mut b) =
        (Org::new("acme", vec![lead()], dir.path()), Org::new("globex", vec![ruled()], dir.path()));
    connect(&mut a, &mut b);
    agree(&mut a, &mut b);
    let records = share(&mut a, &mut b);
    for round in 0..ROUNDS {
        let bodies: Vec<_> = (0..REQUESTS).map(|i| request(&records, round * REQUESTS + i)).collect();
        let frames = leave(&mut a, &bodies);
        arrive(&mut b, &frames);
        let (connection, upto) = (a.connection, b.connection().inbound.received.position);
        a.must(&Command::NoteReceipt { connection, position: upto });
    }
    let applied = b.connection().inbound.counts.applied;
    assert!(applied as usize >= CHANGES, "only {applied} changes were applied");
}

fn lead() -> ObjectSchema {
    standard_objects().into_iter().find(|object| object.name.as_str() == "Lead").expect("a standard object")
}

fn ruled() -> ObjectSchema {
    ObjectSchema::from_toml(RULES).expect("rules").build(Some(&lead())).expect("an object")
}

/// The handshake, and the keys of both directions.
fn connect(a: &mut Org, b: &mut Org) {
    let (secret_hash, expires) = ([7; 32], NOW.plus_us(1_000_000_000));
    let invite = Command::Invite { secret_hash, expires, owner: None, label: String::new() };
    let Reply::Connection(connection) = a.must(&invite) else { panic!("no connection") };
    (a.connection, b.connection) = (connection, connection);
    let keys = [OrgKeys::generate(a.name()).expect("keys"), OrgKeys::generate(b.name()).expect("keys")];
    let public_key = keys[0].x25519_public();
    b.must(&Command::Answer {
        connection,
        inviter: a.name(),
        public_key,
        secret_hash,
        expires,
        accept: true,
        owner: None,
        label: String::new(),
    });
    a.must(&Command::TakeHello {
        connection,
        from: b.name(),
        accept: true,
        user: context().actor,
        public_key: keys[1].x25519_public(),
        incarnation: b.incarnation(),
        by: None,
    });
    b.must(&Command::TakeWelcome { connection, incarnation: a.incarnation(), owner: None });
    let names = [a.name(), b.name()];
    for (org, me, other) in [(&mut *a, 0, 1), (&mut *b, 1, 0)] {
        let (own, partner) = (keys[me].x25519_secret(), keys[other].x25519_public());
        let secret_hash = tieline_bus::SecretHash::of(&secret_hash);
        org.keys =
            DirectionKeys::derive(own, partner, &secret_hash, connection, &names[me], &names[other]).ok();
        org.link = Some(Link::new(org.state.org.as_ref().expect("an org"), org.connection(), NOW));
    }
}

fn names() -> Vec<FieldName> {
    FIELDS.iter().map(|name| name.parse().expect("a name")).collect()
}

/// What is published and subscribed.
fn agree(a: &mut Org, b: &mut Org) {
    let object = lead().name;
    let rule = Some(PublishRule::new(object.clone(), names(), 0));
    a.must(&Command::Publish { connection: a.connection, object: object.clone(), rule });
    exchange(a, b);
    let values = [("Working - Contacted".into(), "Closed - Not Converted".into())].into();
    let table = PicklistMapping { values, unmapped: Unmapped::Keep };
    let mapping = |name: FieldName| FieldMapping {
        picklist: (name.as_str() == "Status").then(|| table.clone()),
        ..FieldMapping::rename(name.clone(), name)
    };
    let rule = SubscribeRule {
        remote: object.clone(),
        local: object.clone(),
        auto_accept: true,
        accept_whole: false,
        owner: None,
        fields: names().into_iter().map(mapping).collect(),
        version: 0,
    };
    b.must(&Command::Subscribe { connection: b.connection, object, rule: Some(rule) });
    exchange(a, b);
}

fn exchange(a: &mut Org, b: &mut Org) {
    while a.send_all(b) | b.send_all(a) {}
}

/// Records of A that B has copies of.
fn share(a: &mut Org, b: &mut Org) -> Vec<RecordId> {
    let records: Vec<RecordId> = (0..RECORDS).map(|n| create(a, n)).collect();
    for record in &records {
        a.must(&Command::Forward { record: *record, connection: a.connection });
    }
    exchange(a, b);
    let copies = b.state.count_of(&lead().name);
    assert_eq!(copies, RECORDS, "every record has a copy");
    records
}

fn create(org: &mut Org, n: usize) -> RecordId {
    let values = [("LastName", format!("Lead {n}")), ("Company", "Sorbonne".to_owned())];
    let values = values.into_iter().map(|(name, text)| (name.parse().expect("a name"), Value::text(&text)));
    let create = Command::CreateRecord { object: lead().name, values: values.collect(), owner: None };
    let Reply::Record(id) = org.must(&create) else { panic!("no record") };
    id
}

/// The body of one request: changes of 300 bytes of field values.
fn request(records: &[RecordId], number: usize) -> Vec<u8> {
    let operations: Vec<Json> = (0..REQUEST)
        .map(|i| {
            let hash = blake3::hash(&[i.to_le_bytes(), number.to_le_bytes()].concat()).to_hex();
            let city = format!("City {i} {number}");
            let mut description = format!("{hash}{hash}{hash}");
            description.push_str(&"x".repeat(CHANGE_BYTES - description.len() - city.len() - 20));
            json!({ "op": "update", "object": "Lead", "id": records[i % records.len()].to_string(), "fields": {
                "Status": STATUSES[number % 2], "City": city, "Description": description } })
        })
        .collect();
    json!({ "operations": operations }).to_string().into_bytes()
}

/// The way at A: from the requests to the sealed frames.
fn leave(a: &mut Org, bodies: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut groups = Vec::new();
    for body in bodies {
        let commands = stages::intake(body, &a.state, &context().actor);
        assert_eq!(commands.len(), REQUEST, "every operation is a command");
        for command in &commands {
            let events = stages::decide_a(&a.state, command, &context());
            groups.push(stages::encode_a(NOW, &events));
            stages::apply_a(&mut a.state, NOW, &events);
            a.keep(events);
        }
        stages::forget(commands);
    }
    stages::append_a(&mut a.log, &groups);
    stages::forget(groups);
    let mut frames = Vec::new();
    while let Some((run, rules)) = a.next_run() {
        let (count, body) = stages::messages(a.connection, &run, &rules, NOW, |seq| a.event(seq));
        let header = a.header(&run, count);
        frames.push(stages::seal(&a.keys.as_ref().expect("keys").sending, &header, &body));
    }
    stages::forget(a.take_events());
    frames
}

/// The way at B: from the sealed frames to the log.
fn arrive(b: &mut Org, frames: &[Vec<u8>]) {
    let mut groups = Vec::new();
    for frame in frames {
        let (header, messages) = stages::open(&b.keys.as_ref().expect("keys").receiving, frame);
        let mut chain = header.chain_before;
        for (envelope, position) in messages.iter().zip(header.first.0..) {
            let position = Position(position);
            chain = chain.then(position, envelope.seq, envelope.time);
            let mut events = stages::decide_b(&b.state, b.connection, position, chain, envelope, &context());
            stages::apply_b(&mut b.state, NOW, &events);
            if position == header.last() {
                let report = stages::report(&b.state, b.connection, &context());
                stages::apply_b(&mut b.state, NOW, &report);
                events.extend(report);
            }
            groups.push(stages::encode_b(NOW, &events));
            b.keep(events);
        }
        stages::forget(messages);
    }
    stages::append_b(&mut b.log, &groups);
    stages::forget(groups);
    stages::forget(b.take_events());
}
