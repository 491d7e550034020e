//! What people do: they write records, share them, answer offers, and change the rules, now and
//! then all at the same time on all orgs.

use tieline_core::command::{Command, Pause, SharingCommand};
use tieline_core::job::JobKind;
use tieline_core::message::EndReason;
use tieline_core::publish::PublishRule;
use tieline_core::sharing::Forwarding;
use tieline_core::state::{Connection, ShareRole, ShareStatus};
use tieline_core::{ConnectionId, RecordId, ShareId};

use super::Broken;
use super::dialect::{Dialect, RULES};
use super::features::{Feature, extra_mappings, flag, parent, sum};
use super::world::World;

/// Most records that one org makes by itself.
const RECORDS_MAX: usize = 30;

impl World {
    /// A few things that people do now.
    pub(super) fn work(&mut self) -> Result<(), Broken> {
        let at = self.out.rng.index(self.orgs.len());
        if !self.org(at).up || self.org(at).full_until > self.out.now {
            return Ok(());
        }
        self.agree(at)?;
        for _ in 0..=self.out.rng.below(3) {
            self.act(at)?;
        }
        self.work_with_features(at)
    }

    /// Publishes and subscribes as soon as that is possible.
    fn agree(&mut self, at: usize) -> Result<(), Broken> {
        let active: Vec<Connection> =
            self.org(at).state().connections.values().filter(|c| c.is_active()).cloned().collect();
        for connection in active {
            if connection.publish.is_empty() {
                self.publish(at, connection.id)?;
            }
            if connection.subscribe.is_empty() && !connection.catalogue.is_empty() {
                self.subscribe(at, &connection)?;
            }
        }
        Ok(())
    }

    fn publish(&mut self, at: usize, connection: ConnectionId) -> Result<(), Broken> {
        let dialect = Dialect::of(at);
        let everything = self.out.rng.chance(300);
        let mut rule = dialect.publish_rule(everything, &mut self.out.rng);
        let more = [(Feature::Links, parent(at)), (Feature::Computed, sum(at)), (Feature::Drift, flag(at))];
        let more =
            more.into_iter().filter(|(feature, _)| self.features.has(*feature)).map(|(_, field)| field);
        rule.fields.extend(more);
        let rule = Some(PublishRule::new(rule.object, rule.fields, 0));
        let publish = Command::Publish { connection, object: dialect.object(), rule };
        drop(self.execute(at, &publish, "publishes")?);
        Ok(())
    }

    fn subscribe(&mut self, at: usize, connection: &Connection) -> Result<(), Broken> {
        let partner = self.out.names.iter().position(|name| Some(name) == connection.partner.as_ref());
        let (Some(partner), Some(quirks)) = (partner, self.quirks.get(at)) else { return Ok(()) };
        let (here, there) = (Dialect::of(at), Dialect::of(partner));
        let Some(catalogue) = connection.catalogue.get(&there.object()) else { return Ok(()) };
        let mut rule = here.subscribe_rule(there, catalogue, quirks, &mut self.out.rng);
        rule.fields.extend(extra_mappings(at, partner, catalogue, self.features));
        let rule = Some(rule);
        let subscribe = Command::Subscribe { connection: connection.id, object: there.object(), rule };
        drop(self.execute(at, &subscribe, "subscribes")?);
        Ok(())
    }

    /// One thing that a person does.
    fn act(&mut self, at: usize) -> Result<(), Broken> {
        match self.out.rng.below(1_000) {
            0..120 => self.create(at),
            120..520 => self.update(at),
            520..530 => self.delete(at),
            530..700 => self.forward(at),
            700..880 => self.answer(at),
            880..905 => self.stop(at),
            905..935 => self.retry(at),
            935..950 => self.change_rules(at),
            950..965 => self.change_publishing(at),
            965..980 => self.change_subscribing(at),
            980..986 => self.start_job(at),
            986..990 => self.pause(at),
            990..994 => self.reconcile(at),
            _ => self.rarely(at),
        }
    }

    fn create(&mut self, at: usize) -> Result<(), Broken> {
        let dialect = Dialect::of(at);
        if self.org(at).state().count_of(&dialect.object()) >= RECORDS_MAX {
            return self.update(at);
        }
        let values = dialect.values(true, &mut self.out.rng);
        let create = Command::CreateRecord { object: dialect.object(), values, owner: None };
        drop(self.execute(at, &create, "creates a record")?);
        Ok(())
    }

    /// A record of an org, shared ones first: that is where edits meet.
    fn record(&mut self, at: usize, shared: bool) -> Option<RecordId> {
        let object = Dialect::of(at).object();
        let after = RecordId(self.out.rng.wide());
        let state = self.orgs.get(at)?.state();
        let all = || state.records_of(&object, Some(after)).chain(state.records_of(&object, None));
        let found = all().find(|(_, record)| !shared || !record.shares.is_empty());
        found.or_else(|| all().next()).map(|(id, _)| id)
    }

    fn update(&mut self, at: usize) -> Result<(), Broken> {
        let Some(record) = self.record(at, true) else { return Ok(()) };
        let values = Dialect::of(at).values(false, &mut self.out.rng);
        drop(self.execute(at, &Command::UpdateRecord { record, values }, &format!("updates {record}"))?);
        Ok(())
    }

    fn delete(&mut self, at: usize) -> Result<(), Broken> {
        let Some(record) = self.record(at, true) else { return Ok(()) };
        drop(self.execute(at, &Command::DeleteRecord { record }, &format!("deletes {record}"))?);
        Ok(())
    }

    /// Offers a record to one partner, or to all.
    fn forward(&mut self, at: usize) -> Result<(), Broken> {
        let again = self.out.rng.chance(200);
        let Some(record) = self.record(at, again) else { return Ok(()) };
        let mut connections: Vec<ConnectionId> = self.org(at).state().connections.keys().copied().collect();
        if self.out.rng.chance(500) {
            let one = self.out.rng.pick(&connections).copied();
            connections = one.into_iter().collect();
        }
        // Now and then everybody may have it.
        let how = Forwarding { many: self.out.rng.chance(250), ..Forwarding::default() };
        for connection in connections {
            let label = format!("offers {record} over {connection}");
            let forward = Command::Sharing(SharingCommand::Forward { record, connection, how });
            drop(self.execute(at, &forward, &label)?);
        }
        Ok(())
    }

    /// A share of an org that is so.
    fn share(
        &mut self,
        at: usize,
        is_meant: impl Fn(&Connection, &tieline_core::state::Share) -> bool,
    ) -> Option<(ConnectionId, ShareId)> {
        let state = self.orgs.get(at)?.state();
        let found: Vec<_> = state
            .connections
            .values()
            .flat_map(|c| c.shares.iter().filter(|(_, share)| is_meant(c, share)).map(|(id, _)| (c.id, *id)))
            .collect();
        self.out.rng.pick(&found).copied()
    }

    fn answer(&mut self, at: usize) -> Result<(), Broken> {
        let offered = |_: &Connection, share: &tieline_core::state::Share| {
            share.role == ShareRole::Copy && share.status == ShareStatus::Offered
        };
        let Some((connection, share)) = self.share(at, offered) else { return Ok(()) };
        let (command, what) = if self.out.rng.chance(150) {
            (Command::Decline { connection, share }, "declines")
        } else if self.adopts
            && self.out.rng.chance(150)
            && let Some(record) = self.record(at, false)
        {
            // Refused if the record is shared over the connection already.
            (Command::Adopt { connection, share, record }, "adopts")
        } else {
            (Command::Accept { connection, share, owner: None }, "accepts")
        };
        drop(self.execute(at, &command, &format!("{what} {share}"))?);
        Ok(())
    }

    fn stop(&mut self, at: usize) -> Result<(), Broken> {
        let Some(record) = self.record(at, true) else { return Ok(()) };
        let connections: Vec<ConnectionId> = self.org(at).state().connections.keys().copied().collect();
        let Some(connection) = self.out.rng.pick(&connections).copied() else { return Ok(()) };
        let reason = if self.out.rng.chance(800) { EndReason::Stopped } else { EndReason::Converted };
        let end = Command::EndShare { record, connection, reason };
        drop(self.execute(at, &end, &format!("stops sharing {record} over {connection}"))?);
        Ok(())
    }

    fn retry(&mut self, at: usize) -> Result<(), Broken> {
        let troubled = |_: &Connection, share: &tieline_core::state::Share| share.problem.is_some();
        let Some((connection, share)) = self.share(at, troubled) else { return Ok(()) };
        let command = if self.out.rng.chance(900) {
            Command::Retry { connection, share }
        } else {
            Command::Decline { connection, share }
        };
        drop(self.execute(at, &command, &format!("tries {share} again"))?);
        Ok(())
    }

    fn change_rules(&mut self, at: usize) -> Result<(), Broken> {
        let rules = self.out.rng.below(1 << RULES) as u32;
        self.rules.splice(at..=at, [rules]);
        let schema = Box::new(self.schema_of(at, rules));
        drop(self.execute(at, &Command::DefineObject { schema }, &format!("has rules {rules:04b}"))?);
        Ok(())
    }

    fn change_publishing(&mut self, at: usize) -> Result<(), Broken> {
        let connections: Vec<ConnectionId> = self.org(at).state().connections.keys().copied().collect();
        let Some(connection) = self.out.rng.pick(&connections).copied() else { return Ok(()) };
        if self.out.rng.chance(60) {
            let object = Dialect::of(at).object();
            let publish = Command::Publish { connection, object, rule: None };
            drop(self.execute(at, &publish, "publishes nothing any more")?);
            return Ok(());
        }
        self.publish(at, connection)
    }

    fn change_subscribing(&mut self, at: usize) -> Result<(), Broken> {
        let connections: Vec<Connection> = self.org(at).state().connections.values().cloned().collect();
        let Some(connection) = self.out.rng.pick(&connections).cloned() else { return Ok(()) };
        if self.out.rng.chance(60)
            && let Some(object) = connection.subscribe.keys().next().cloned()
        {
            let subscribe = Command::Subscribe { connection: connection.id, object, rule: None };
            drop(self.execute(at, &subscribe, "takes nothing any more")?);
            return Ok(());
        }
        self.subscribe(at, &connection)
    }

    /// Wide work: offers everything, or accepts everything.
    fn start_job(&mut self, at: usize) -> Result<(), Broken> {
        let connections: Vec<ConnectionId> = self.org(at).state().connections.keys().copied().collect();
        let Some(connection) = self.out.rng.pick(&connections).copied() else { return Ok(()) };
        let kind = match self.out.rng.below(3) {
            0 => JobKind::Forward {
                connection,
                object: Dialect::of(at).object(),
                records: None,
                view: None,
                how: Forwarding::default(),
            },
            1 => JobKind::Accept { connection, object: None, to: None },
            _ => JobKind::Retry { connection },
        };
        drop(self.execute(at, &Command::StartJob { kind }, "starts a job")?);
        Ok(())
    }

    fn reconcile(&mut self, at: usize) -> Result<(), Broken> {
        let connections: Vec<ConnectionId> = self.org(at).state().connections.keys().copied().collect();
        let Some(connection) = self.out.rng.pick(&connections).copied() else { return Ok(()) };
        drop(self.execute(at, &Command::Reconcile { connection }, "reconciles")?);
        Ok(())
    }

    /// Pauses a connection or its object, or lets it go on.
    fn pause(&mut self, at: usize) -> Result<(), Broken> {
        let connections: Vec<ConnectionId> = self.org(at).state().connections.keys().copied().collect();
        let Some(connection) = self.out.rng.pick(&connections).copied() else { return Ok(()) };
        let object = self.out.rng.chance(500).then(|| Dialect::of(at).object());
        let paused = self.out.rng.chance(500);
        let what = if paused { "pauses" } else { "lets go on" };
        let set = Command::Pause(Pause::Set { connection, object, paused });
        drop(self.execute(at, &set, &format!("{what} {connection}"))?);
        Ok(())
    }

    /// Ends a connection, or resumes one that is stopped; most of the time, nothing.
    fn rarely(&mut self, at: usize) -> Result<(), Broken> {
        let connections: Vec<ConnectionId> = self.org(at).state().connections.keys().copied().collect();
        let Some(connection) = self.out.rng.pick(&connections).copied() else { return Ok(()) };
        match self.out.rng.below(10) {
            0 => {
                let end = Command::Deactivate { connection, by_partner: false };
                drop(self.execute(at, &end, &format!("deactivates {connection}"))?);
            }
            1..4 => {
                self.overridden |= self.org(at).state().connections.values().any(|c| c.reconciling);
                drop(self.execute(at, &Command::Resume { connection }, "resumes")?);
            }
            _ => {}
        }
        Ok(())
    }
}
