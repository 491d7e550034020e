//! What a new org begins with besides its objects: settings, records, the answer to an invitation.
//!
//! It is written into the log before any daemon runs: sandboxes (S2S-15) and the orgs of newcomers
//! (S2S-16) are made so. Nothing of a connection, share or token is taken over.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use tieline_core::command::{Command, ConfigCommand, Context, Refusal, Reply};
use tieline_core::config::{self, Options, Source};
use tieline_core::engine::Engine;
use tieline_core::log::Log;
use tieline_core::schema::{FieldKind, FieldType, ObjectSchema};
use tieline_core::value::Value;
use tieline_core::vecmap::VecMap;
use tieline_core::{AssignTo, FieldName, ObjectName, Owner, RecordId, UserName};
use tieline_store::SledLog;

use crate::clock::now;
use crate::init::InitError;

/// What an org begins with.
#[derive(Debug, Default)]
pub struct Seed {
    /// Settings, as `GET /v1/config` gives them. Those of connections are left out.
    pub config: Vec<Source>,
    /// Records, as the API shows them.
    pub records: Vec<SeedRecord>,
    /// An invitation that is answered.
    pub answer: Option<Command>,
}

/// A record of another org.
#[derive(Debug, Clone)]
pub struct SeedRecord {
    /// Its id there.
    pub id: RecordId,
    /// Its object.
    pub object: ObjectName,
    /// Who owns it there.
    pub owner: Owner,
    /// Its fields.
    pub fields: Map<String, Json>,
}

/// What became of a seed.
#[derive(Debug, Default)]
pub struct Seeded {
    /// Settings that were set.
    pub settings: usize,
    /// Settings of connections, which were left out.
    pub left_out: usize,
    /// Records that were created.
    pub records: usize,
    /// Records that were refused, with the first reasons.
    pub refused: usize,
    /// The first reasons.
    pub reasons: Vec<String>,
}

/// Most reasons that are kept.
const REASONS_KEPT: usize = 20;

/// An org that is being made.
pub(crate) struct Maker {
    pub(crate) log: SledLog,
    pub(crate) engine: Engine,
    pub(crate) actor: UserName,
}

impl Maker {
    /// Does a command, as the administrator of the org.
    pub(crate) fn run(&mut self, command: &Command) -> Result<Reply, InitError> {
        let context = self.context()?;
        let (group, reply) = self.engine.execute(command, &context)?;
        if !group.is_empty() {
            self.log.append(&[group])?;
        }
        Ok(reply)
    }

    fn context(&self) -> Result<Context, InitError> {
        let mut entropy = [0; 32];
        getrandom::fill(&mut entropy).map_err(|_| InitError::Entropy)?;
        Ok(Context { now: now(), actor: self.actor.clone(), entropy })
    }

    /// Does everything of a seed.
    pub(crate) fn seed(&mut self, seed: Seed) -> Result<Seeded, InitError> {
        let mut seeded = Seeded::default();
        if !seed.config.is_empty() {
            self.configure(&seed.config, &mut seeded)?;
        }
        self.records(seed.records, &mut seeded)?;
        if let Some(answer) = &seed.answer {
            self.run(answer)?;
        }
        Ok(seeded)
    }

    fn configure(&mut self, sources: &[Source], seeded: &mut Seeded) -> Result<(), InitError> {
        let options = Options { prune: false, skip_missing: true };
        let plan = config::plan(self.engine.state(), sources, options, &self.context()?);
        if let Some(fault) = plan.faults.first() {
            return Err(InitError::Config(format!("{}: {}: {}", fault.place, fault.item, fault.message)));
        }
        (seeded.settings, seeded.left_out) = (plan.changes.len(), plan.passed.len());
        let apply = ConfigCommand::Apply { members: plan.members, based_on: Some(plan.based_on) };
        self.run(&Command::Config(apply)).map(drop)
    }

    /// Creates records; what they refer to is named by the ids that it has here.
    fn records(&mut self, mut records: Vec<SeedRecord>, seeded: &mut Seeded) -> Result<(), InitError> {
        let references = |object: &ObjectName| {
            let fields = self.engine.state().object(object).map_or(&[][..], |object| &object.fields);
            fields.iter().filter(|field| field.field_type == FieldType::Reference).count()
        };
        // What refers to nothing comes first: most references are there when they are needed.
        records.sort_by_cached_key(|record| (references(&record.object), record.id));
        let mut ids: BTreeMap<RecordId, RecordId> = BTreeMap::new();
        let mut later = Vec::new();
        for record in &records {
            let Some(object) = self.engine.state().object(&record.object).cloned() else { continue };
            let (values, missing) = values(&object, &record.fields, &ids);
            let owner = self.owner(&record.owner);
            let create = Command::CreateRecord { object: record.object.clone(), values, owner };
            match self.run(&create) {
                Ok(Reply::Record(id)) => {
                    ids.insert(record.id, id);
                    seeded.records += 1;
                    if missing {
                        later.push((id, record));
                    }
                }
                Ok(_) => {}
                Err(InitError::Refused(refusal)) => seeded.refuse(record, &refusal),
                Err(error) => return Err(error),
            }
        }
        for (id, record) in later {
            let Some(object) = self.engine.state().object(&record.object).cloned() else { continue };
            let (values, _) = values(&object, &record.fields, &ids);
            match self.run(&Command::UpdateRecord { record: id, values }) {
                Ok(_) => {}
                Err(InitError::Refused(refusal)) => seeded.refuse(record, &refusal),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The owner, if there is such a user or queue here.
    fn owner(&self, owner: &Owner) -> Option<AssignTo> {
        let state = self.engine.state();
        let known = match owner {
            Owner::User(user) => {
                !user.is_connection_user() && state.users.get(user).is_some_and(|user| user.active)
            }
            Owner::Queue(queue) => state.automation.queues.contains_key(queue),
        };
        known.then(|| owner.clone().into())
    }
}

impl Seeded {
    fn refuse(&mut self, record: &SeedRecord, refusal: &Refusal) {
        self.refused += 1;
        if self.reasons.len() < REASONS_KEPT {
            self.reasons.push(format!("{} {}: {refusal}", record.object, record.id));
        }
    }
}

/// The values that can be written, and whether a reference among them is not known yet.
fn values(
    object: &ObjectSchema,
    fields: &Map<String, Json>,
    ids: &BTreeMap<RecordId, RecordId>,
) -> (VecMap<FieldName, Value>, bool) {
    let (mut values, mut missing) = (VecMap::new(), false);
    for (name, json) in fields.iter().filter(|(_, json)| !json.is_null()) {
        let Some(field) = object.field(name.as_str()) else { continue };
        if field.kind != FieldKind::Data || !field.updatable {
            continue;
        }
        let value = match Value::from_json(field, json) {
            Ok(Value::Reference(there)) => match ids.get(&there) {
                Some(here) => Value::Reference(*here),
                None => {
                    missing = true;
                    continue;
                }
            },
            Ok(value) => value,
            Err(_) => continue,
        };
        values.insert(field.name.clone(), value);
    }
    (values, missing)
}
