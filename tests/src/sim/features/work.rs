//! What people do with features.

use tieline_core::account::AccountRule;
use tieline_core::command::{Command, Conversion, SharingCommand};
use tieline_core::schema::{FieldType, ObjectSchema};
use tieline_core::sharing::{Forwarding, TaskChoice};
use tieline_core::state::Connection;
use tieline_core::value::{Date, Value};
use tieline_core::vecmap::VecMap;
use tieline_core::{ConnectionId, FieldName, ObjectName, RecordId};

use super::given::{extra_objects, flag, flag_type, item, parent, part_field, publish_rules, subscribe_rule};
use super::{Feature, extra_fields};
use crate::sim::Broken;
use crate::sim::dialect::Dialect;
use crate::sim::outside::name;
use crate::sim::world::World;

/// Most records of one object that an org makes by itself.
const RECORDS_MAX: usize = 15;
/// How many names accounts have.
const ACCOUNTS: u64 = 4;

fn text(words: &str) -> Value {
    Value::text(words)
}

impl World {
    /// The main object of an org, with a set of rules in force.
    pub(in crate::sim) fn schema_of(&self, at: usize, rules: u32) -> ObjectSchema {
        let drift = self.drift.get(at).copied().unwrap_or_default();
        let mut schema = Dialect::of(at).schema(rules);
        schema.fields.extend(extra_fields(at, self.features, drift));
        schema.sort();
        schema
    }

    /// All objects of an org.
    pub(in crate::sim) fn schemas_of(&self, at: usize, rules: u32) -> Vec<ObjectSchema> {
        let mut objects = vec![self.schema_of(at, rules)];
        objects.extend(extra_objects(at, self.features));
        objects
    }

    /// A few things that people do with features, if the run has any.
    pub(in crate::sim) fn work_with_features(&mut self, at: usize) -> Result<(), Broken> {
        if self.features.is_empty() {
            return Ok(());
        }
        self.agree_on_features(at)?;
        for _ in 0..=self.out.extras.below(2) {
            let which = self.out.extras.index(Feature::ALL.len());
            let Some(feature) = Feature::ALL.get(which).copied() else { continue };
            if self.features.has(feature) {
                self.use_feature(at, feature)?;
            }
        }
        Ok(())
    }

    fn use_feature(&mut self, at: usize, feature: Feature) -> Result<(), Broken> {
        match feature {
            Feature::Links => self.link(at),
            Feature::Parts => self.part(at),
            // Values are computed whenever others are written.
            Feature::Computed => Ok(()),
            Feature::Drift => self.drift_on(at),
            Feature::Tasks => self.task(at),
            Feature::Conversion => self.lead(at),
            Feature::Approvals => self.decide_value(at),
            Feature::Accounts => self.contact(at),
            Feature::Sharing => self.share_by_rule(at),
            Feature::Queues => self.queue(at),
            Feature::Workflow => self.set_workflow(at),
        }
    }

    /// Publishes and takes what is not the main object, sooner or later.
    fn agree_on_features(&mut self, at: usize) -> Result<(), Broken> {
        let active: Vec<Connection> =
            self.org(at).state().connections.values().filter(|c| c.is_active()).cloned().collect();
        for connection in active {
            if connection.subscribe.is_empty() || !self.out.extras.chance(200) {
                continue;
            }
            for rule in publish_rules(at, self.features) {
                if !connection.publish.contains_key(&rule.object) {
                    let (connection, object) = (connection.id, rule.object.clone());
                    let publish = Command::Publish { connection, object, rule: Some(rule) };
                    drop(self.execute(at, &publish, "publishes more")?);
                }
            }
            self.take_more(at, &connection)?;
        }
        Ok(())
    }

    fn take_more(&mut self, at: usize, connection: &Connection) -> Result<(), Broken> {
        let Some(partner) = self.out.names.iter().position(|name| Some(name) == connection.partner.as_ref())
        else {
            return Ok(());
        };
        for (object, catalogue) in &connection.catalogue {
            if connection.subscribe.contains_key(object) {
                continue;
            }
            let auto_accept = self.out.extras.chance(500);
            let Some(rule) = subscribe_rule(at, partner, catalogue, auto_accept) else { continue };
            let (id, object) = (connection.id, object.clone());
            let with_account = object.as_str() == "Contact";
            let subscribe = Command::Subscribe { connection: id, object: object.clone(), rule: Some(rule) };
            drop(self.execute(at, &subscribe, "takes more")?);
            if with_account {
                let rule = Some(AccountRule::default());
                let set = SharingCommand::SetAccountRule { connection: id, object, rule };
                drop(self.execute(at, &Command::Sharing(set), "matches accounts")?);
            }
        }
        Ok(())
    }

    /// A record of an object.
    pub(super) fn any(&mut self, at: usize, object: &ObjectName) -> Option<RecordId> {
        let after = RecordId(self.out.extras.wide());
        let state = self.orgs.get(at)?.state();
        let mut all = state.records_of(object, Some(after)).chain(state.records_of(object, None));
        all.next().map(|(id, _)| id)
    }

    /// A connection of an org.
    pub(super) fn some_connection(&mut self, at: usize) -> Option<ConnectionId> {
        let connections: Vec<ConnectionId> = self.org(at).state().connections.keys().copied().collect();
        self.out.extras.pick(&connections).copied()
    }

    fn write(
        &mut self,
        at: usize,
        record: RecordId,
        fields: impl IntoIterator<Item = (FieldName, Value)>,
        what: &str,
    ) -> Result<(), Broken> {
        let values: VecMap<FieldName, Value> = fields.into_iter().collect();
        drop(self.execute(at, &Command::UpdateRecord { record, values }, &format!("{what} {record}"))?);
        Ok(())
    }

    fn make(
        &mut self,
        at: usize,
        object: &ObjectName,
        fields: impl IntoIterator<Item = (FieldName, Value)>,
    ) -> Result<(), Broken> {
        if self.org(at).state().count_of(object) >= RECORDS_MAX {
            return Ok(());
        }
        let (object, values) = (object.clone(), fields.into_iter().collect());
        let label = format!("creates a {object}");
        drop(self.execute(at, &Command::CreateRecord { object, values, owner: None }, &label)?);
        Ok(())
    }

    /// Offers a record of an object to somebody.
    fn offer_some(&mut self, at: usize, object: &ObjectName, how: Forwarding) -> Result<(), Broken> {
        let (Some(record), Some(connection)) = (self.any(at, object), self.some_connection(at)) else {
            return Ok(());
        };
        let forward = Command::Sharing(SharingCommand::Forward { record, connection, how });
        drop(self.execute(at, &forward, &format!("offers {record} ({object}) over {connection}"))?);
        Ok(())
    }

    /// Lets a record refer to another one, or to none.
    fn link(&mut self, at: usize) -> Result<(), Broken> {
        let object = Dialect::of(at).object();
        let Some(record) = self.any(at, &object) else { return Ok(()) };
        let target = self.any(at, &object).filter(|_| self.out.extras.chance(850));
        let value = target.map_or(Value::Null, Value::Reference);
        self.write(at, record, [(parent(at), value)], "links")
    }

    /// Makes, changes or offers a part.
    fn part(&mut self, at: usize) -> Result<(), Broken> {
        let object = item(at);
        let number = Value::Integer(self.out.extras.between(0, 100));
        match self.out.extras.below(10) {
            0..4 => {
                let Some(owner) = self.any(at, &Dialect::of(at).object()) else { return Ok(()) };
                let title = text(&format!("part {}", self.out.extras.below(100)));
                let fields = [title, Value::Reference(owner), number];
                let fields =
                    fields.into_iter().enumerate().map(|(which, value)| (part_field(at, which), value));
                self.make(at, &object, fields.collect::<Vec<_>>())
            }
            4..7 => {
                let Some(record) = self.any(at, &object) else { return Ok(()) };
                let owner = self.any(at, &Dialect::of(at).object());
                let moved = owner.filter(|_| self.out.extras.chance(300));
                let moved = moved.map(|owner| (part_field(at, 1), Value::Reference(owner)));
                let fields = moved.into_iter().chain([(part_field(at, 2), number)]);
                self.write(at, record, fields.collect::<Vec<_>>(), "changes the part")
            }
            _ => self.offer_some(at, &object, Forwarding::default()),
        }
    }

    /// Changes the type of a field, or writes it.
    fn drift_on(&mut self, at: usize) -> Result<(), Broken> {
        if self.out.extras.chance(150) {
            let kind = u32::try_from(self.out.extras.below(3)).unwrap_or_default();
            if let Some(drift) = self.drift.get_mut(at) {
                *drift = kind;
            }
            let rules = self.rules.get(at).copied().unwrap_or_default();
            let schema = Box::new(self.schema_of(at, rules));
            drop(self.execute(at, &Command::DefineObject { schema }, "drifts")?);
            return Ok(());
        }
        let Some(record) = self.any(at, &Dialect::of(at).object()) else { return Ok(()) };
        let number = self.out.extras.between(0, 90);
        let value = match flag_type(self.drift.get(at).copied().unwrap_or_default()) {
            FieldType::Integer => Value::Integer(number),
            FieldType::Date => Date::from_days(i32::try_from(number).unwrap_or_default() + 20_000)
                .map_or(Value::Null, Value::Date),
            _ => text(&format!("flag {number}")),
        };
        self.write(at, record, [(flag(at), value)], "flags")
    }

    /// Makes, changes or shares tasks, or offers a record with those that it has.
    fn task(&mut self, at: usize) -> Result<(), Broken> {
        let (object, main) = (name::<ObjectName>("Task"), Dialect::of(at).object());
        let status = ["Not Started", "In Progress", "Completed"];
        let status = self.out.extras.pick(&status).copied().unwrap_or("Deferred");
        let status = (name("Status"), Value::picklist(status.into()));
        match self.out.extras.below(10) {
            0..3 => {
                let Some(parent) = self.any(at, &main) else { return Ok(()) };
                let subject = text(&format!("task {}", self.out.extras.below(100)));
                let fields = [(name("Subject"), subject), (name("WhatId"), Value::Reference(parent)), status];
                self.make(at, &object, fields)
            }
            3..5 => {
                let Some(task) = self.any(at, &object) else { return Ok(()) };
                let moved = self.any(at, &main).filter(|_| self.out.extras.chance(300));
                let moved = moved.map(|parent| (name("WhatId"), Value::Reference(parent)));
                self.write(
                    at,
                    task,
                    moved.into_iter().chain([status]).collect::<Vec<_>>(),
                    "changes the task",
                )
            }
            5..6 => self.offer_some(at, &object, Forwarding::default()),
            _ => {
                let choices = [TaskChoice::Open, TaskChoice::Closed, TaskChoice::All];
                let tasks = self.out.extras.pick(&choices).copied().unwrap_or_default();
                let (many, new_tasks) = (self.out.extras.chance(300), self.out.extras.chance(700));
                self.offer_some(at, &main, Forwarding { many, tasks, new_tasks })
            }
        }
    }

    /// Makes, changes, offers or converts a lead.
    fn lead(&mut self, at: usize) -> Result<(), Broken> {
        let object = name::<ObjectName>("Lead");
        let last = (name("LastName"), text(&format!("lead {}", self.out.extras.below(100))));
        match self.out.extras.below(10) {
            0..3 => {
                let company = text(&format!("company {}", self.out.extras.below(ACCOUNTS)));
                self.make(at, &object, [last, (name("Company"), company)])
            }
            3..5 => {
                let Some(lead) = self.any(at, &object) else { return Ok(()) };
                let city = text(&format!("city {}", self.out.extras.below(9)));
                self.write(at, lead, [last, (name("City"), city)], "changes the lead")
            }
            5..9 => {
                let many = self.out.extras.chance(300);
                self.offer_some(at, &object, Forwarding { many, ..Forwarding::default() })
            }
            _ => {
                let Some(lead) = self.any(at, &object) else { return Ok(()) };
                let account = self.any(at, &name("Account")).filter(|_| self.out.extras.chance(300));
                let conversion = Box::new(Conversion { account, ..Conversion::default() });
                let convert = Command::Sharing(SharingCommand::Convert { lead, conversion });
                if self.execute(at, &convert, &format!("converts {lead}"))?.is_ok() {
                    self.out.totals.conversions += 1;
                }
                Ok(())
            }
        }
    }

    /// Decides about a value that waits for approval.
    fn decide_value(&mut self, at: usize) -> Result<(), Broken> {
        let waiting: Vec<(RecordId, FieldName)> = (self.org(at).state().records.iter())
            .flat_map(|(id, record)| record.pending.iter().map(move |(field, pending)| (*id, field, pending)))
            .filter(|(_, _, pending)| pending.approval && !pending.rejected)
            .map(|(id, field, _)| (id, field.clone()))
            .collect();
        let Some((record, field)) = self.out.extras.pick(&waiting).cloned() else { return Ok(()) };
        let (command, what) = if self.out.extras.chance(700) {
            (SharingCommand::Approve { record, field }, "approves")
        } else {
            (SharingCommand::Reject { record, field }, "rejects")
        };
        if self.execute(at, &Command::Sharing(command), &format!("{what} a value of {record}"))?.is_ok() {
            self.out.totals.decisions += 1;
        }
        Ok(())
    }

    /// Makes, changes or offers contacts and their accounts.
    fn contact(&mut self, at: usize) -> Result<(), Broken> {
        let (object, accounts) = (name::<ObjectName>("Contact"), name::<ObjectName>("Account"));
        match self.out.extras.below(10) {
            0..2 => {
                let title = format!("Company {}", self.out.extras.below(ACCOUNTS));
                let same = self.org(at).state().records_of(&accounts, None);
                // Two of one name made here are somebody's own doing.
                if same.into_iter().any(|(_, record)| *record.value(&name("Name")) == text(&title)) {
                    return Ok(());
                }
                self.make(at, &accounts, [(name("Name"), text(&title))])
            }
            2..5 => {
                let account =
                    self.any(at, &accounts).map(|account| (name("AccountId"), Value::Reference(account)));
                let last = (name("LastName"), text(&format!("contact {}", self.out.extras.below(100))));
                self.make(at, &object, account.into_iter().chain([last]).collect::<Vec<_>>())
            }
            5..7 => {
                let Some(contact) = self.any(at, &object) else { return Ok(()) };
                let department = text(&format!("department {}", self.out.extras.below(9)));
                self.write(at, contact, [(name("Department"), department)], "changes the contact")
            }
            _ => self.offer_some(at, &object, Forwarding::default()),
        }
    }
}
