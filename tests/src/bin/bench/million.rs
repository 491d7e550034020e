//! A large state and a long log: what a change takes, what a record takes, how long a start takes.

use std::time::Instant;

use tieline_core::command::{Command, Context, NewToken, Reply};
use tieline_core::engine::Engine;
use tieline_core::log::Log;
use tieline_core::people::OrgSettings;
use tieline_core::schema::standard_objects;
use tieline_core::value::Value;
use tieline_core::{Incarnation, Seq, Timestamp};
use tieline_store::{Config, SledLog};

use crate::Sizes;
use crate::log::disk;
use crate::pipe::{RECORDS, throughput};
use crate::report::Report;
use crate::world::{Pair, create, memory};

/// Groups that are made durable together while a log is made.
const BATCH: usize = 2_000;

/// Changes of some records while A has many, beside changes while it has few.
pub(crate) fn run(report: &mut Report, sizes: &Sizes) {
    let mut pair = Pair::new(3, RECORDS);
    for round in 0..sizes.rounds {
        throughput(report, &pair, sizes.changes, round, " (few)");
    }
    let before = memory(pair.a.pid());
    create(&pair.a.api, sizes.records);
    report.sample("record memory", (memory(pair.a.pid()) - before) / sizes.records as f64);
    for round in 0..sizes.rounds {
        throughput(report, &pair, sizes.changes, sizes.rounds + round, " (many)");
    }
    let stopping = Instant::now();
    pair.a.stop();
    report.sample("stop", stopping.elapsed().as_secs_f64());
    let starting = Instant::now();
    pair.a.start(&pair.broker.url());
    report.sample("start", starting.elapsed().as_secs_f64());
    report.sample("started memory", memory(pair.a.pid()) / sizes.records as f64);
    pair.a.stop();
    std::fs::remove_dir_all(pair.a.home.path().join("snapshots")).expect("snapshots");
    let starting = Instant::now();
    pair.a.start(&pair.broker.url());
    report.sample("start without", starting.elapsed().as_secs_f64());

    let many = format!("{} records in A", sizes.records);
    let few = Some(("changes/s (few)", "with few"));
    report.line(&format!("changes/s with {many}"), "changes/s (many)", "1/s", few, "");
    report.line(&format!("memory per record, {many}"), "record memory", "bytes", None, "");
    report.line(&format!("start with {many}, from the snapshot"), "start", "s", None, "");
    report.line(&format!("start with {many}, from the log"), "start without", "s", None, "");
    report.line(&format!("stop with {many}, snapshot included"), "stop", "s", None, "");
}

/// Replay with verification, and rebuild of the state, of a log of so many changes.
pub(crate) fn replay(report: &mut Report, sizes: &Sizes) {
    let dir = tempfile::tempdir().unwrap();
    let mut log = SledLog::open(&Config::new(dir.path()), Incarnation(1)).unwrap();
    let events = write(&mut log, sizes.events);
    report.sample("long disk", disk(dir.path()) as f64 / events as f64);
    let begun = Instant::now();
    let mut cursor = log.reader().cursor(Seq(1));
    let mut read = 0;
    while let Some(groups) = cursor.next_groups().unwrap() {
        read += groups.events().count();
    }
    assert_eq!(read, events, "every event is read");
    report.sample("long replay", events as f64 / begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let rebuilt = tieline_daemon::replay::rebuild(&log.reader(), None).expect("a state");
    report.sample("long rebuild", rebuilt.replayed as f64 / begun.elapsed().as_secs_f64());
    let of = format!("of {events} events");
    report.line(&format!("verified replay {of}"), "long replay", "1/s", None, "1,000,000/s");
    report.line(&format!("state rebuilt {of}"), "long rebuild", "1/s", None, "500,000/s");
    report.line(&format!("disk per event {of}"), "long disk", "bytes", None, "");
}

/// Writes a log of changes of some records; how many events it has.
fn write(log: &mut SledLog, events: usize) -> usize {
    let mut engine = Engine::default();
    let mut groups = Vec::with_capacity(BATCH);
    let mut written = 0;
    let mut execute = |command: &Command, last: bool| {
        let number = engine.state().seq.0;
        let mut entropy = [7; 32];
        entropy[..8].copy_from_slice(&number.to_le_bytes());
        let now = Timestamp(1_750_000_000_000_000 + number as i64);
        let context = Context { now, actor: "ann".parse().unwrap(), entropy };
        let (group, reply) = engine.execute(command, &context).expect("a command that is not refused");
        written += group.len();
        groups.push(group);
        if last || groups.len() == BATCH {
            log.append(&groups).unwrap();
            log.flush().unwrap();
            groups.clear();
        }
        (reply, written)
    };
    let create_org = Command::CreateOrg {
        name: "acme".parse().unwrap(),
        admin: "ann".parse().unwrap(),
        token: NewToken::of([0; 32]),
        objects: standard_objects(),
        settings: OrgSettings::default(),
        sharing: true,
    };
    execute(&create_org, false);
    let name = |name: &str| name.parse().unwrap();
    let records: Vec<_> = (0..RECORDS)
        .map(|i| {
            let values = [("LastName", format!("Lead {i}")), ("Company", "Sorbonne".to_owned())];
            let values = values.into_iter().map(|(field, text)| (name(field), Value::text(&text)));
            let object = "Lead".parse().unwrap();
            let create = Command::CreateRecord { object, values: values.collect(), owner: None };
            let (Reply::Record(id), _) = execute(&create, false) else { panic!("no record") };
            id
        })
        .collect();
    let mut done = 0;
    let mut i = 0_usize;
    while done < events {
        let hash = blake3::hash(&i.to_le_bytes()).to_hex();
        let values = [("City", format!("City {i}")), ("Description", format!("{hash}{hash}{hash}"))];
        let values = values.into_iter().map(|(field, text)| (name(field), Value::text(&text)));
        let update = Command::UpdateRecord { record: records[i % RECORDS], values: values.collect() };
        done = execute(&update, false).1;
        i += 1;
    }
    let values = [(name("City"), Value::text("the last one"))].into_iter().collect();
    execute(&Command::UpdateRecord { record: records[0], values }, true).1
}
