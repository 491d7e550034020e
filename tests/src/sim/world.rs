//! One run: the orgs meet, live with faults, are healed, and come to rest.

use tieline_core::command::{Command, NewToken, Pause, Reply};
use tieline_core::log::{Log, MemLog};
use tieline_core::people::OrgSettings;
use tieline_core::{ConnectionId, ObjectName, Timestamp};

use super::audit::Audit;
use super::dialect::{Quirks, RULES};
use super::features::{Feature, Features, forge};
use super::org::SimOrg;
use super::outside::{Outside, name};
use super::trace::Trace;
use super::wire::{Lane, Weather};
use super::{Broken, Options, Passed};

/// At least so many faults in a run.
const FAULTS_MIN: u64 = 20;
/// How long an invitation holds.
const INVITATION_US: i64 = 24 * 3_600 * 1_000_000;
/// The furthest that a clock is set wrong.
const SKEW_US_MAX: i64 = 9 * 60 * 1_000_000;
/// Most copies that a backup keeps.
const COPIES_MAX: usize = 3;

/// How often things go wrong, in a thousand steps.
#[derive(Debug, Clone, Copy)]
struct Climate {
    weather: Weather,
    crash: u64,
    partition: u64,
    ring: u64,
    clock: u64,
    restore: u64,
    disk: u64,
}

/// An old copy of an org's disk.
#[derive(Debug, Clone)]
struct Backup {
    of: usize,
    log: MemLog,
    audit: Audit,
}

/// All orgs and what surrounds them.
#[derive(Debug, Clone)]
pub(super) struct World {
    /// The orgs by their numbers.
    pub(super) orgs: Vec<SimOrg>,
    /// What surrounds them.
    pub(super) out: Outside,
    /// How each org subscribes.
    pub(super) quirks: Vec<Quirks>,
    /// The connections with their two orgs.
    pub(super) connections: Vec<(ConnectionId, usize, usize)>,
    steps: u32,
    climate: Climate,
    restores_left: u64,
    /// Whether offers are accepted into records that are there already.
    pub(super) adopts: bool,
    /// What the run knows beyond plain records and shares.
    pub(super) features: Features,
    /// What has drifted at each org.
    pub(super) drift: Vec<u32>,
    /// The rules that each org has in force.
    pub(super) rules: Vec<u32>,
    backups: Vec<Backup>,
    /// How often each org starts again at which time.
    down_until: Vec<Timestamp>,
    /// Whether a record may have been granted twice, because a person overrode the wait.
    pub(super) overridden: bool,
}

impl World {
    /// The world of a seed.
    pub(super) fn new(seed: u64, options: &Options) -> Self {
        let mut out = Outside::new(seed, 0, Trace::new(options.verbose));
        let orgs = options.orgs.unwrap_or_else(|| 2 + out.rng.index(2)).clamp(2, 3);
        out.names = (0..orgs).map(|at| name(&format!("org-{at}"))).collect();
        out.sabotage = options.sabotage;
        let rng = &mut out.rng;
        let climate = Climate {
            weather: Weather {
                drop: rng.below(120),
                repeat: rng.below(80),
                delay: rng.below(120),
                corrupt: rng.below(50),
                misroute: rng.below(30),
            },
            crash: rng.below(30),
            partition: rng.below(25),
            ring: rng.below(30),
            clock: rng.below(12),
            restore: if options.restores && rng.chance(500) { 1 + rng.below(8) } else { 0 },
            disk: if options.disks { out.disks.below(20) } else { 0 },
        };
        let mut quirks: Vec<Quirks> = (0..orgs)
            .map(|_| Quirks {
                auto_accept: rng.chance(400),
                whole: rng.chance(300),
                approval: rng.chance(100),
                crossed: rng.chance(200),
            })
            .collect();
        let features = if options.drawn { options.features.drawn(&mut out.extras) } else { options.features };
        if features.has(Feature::Approvals) {
            quirks.iter_mut().for_each(|quirks| quirks.approval |= out.extras.chance(600));
        }
        Self {
            orgs: out.names.iter().enumerate().map(|(at, name)| SimOrg::new(at, name.clone())).collect(),
            quirks,
            connections: Vec::new(),
            steps: options.steps,
            adopts: options.adopts,
            features,
            drift: vec![0; orgs],
            rules: vec![0; orgs],
            climate,
            restores_left: if climate.restore > 0 { 1 + out.rng.below(3) } else { 0 },
            backups: Vec::new(),
            down_until: vec![Timestamp::default(); orgs],
            overridden: false,
            out,
        }
    }

    /// What the seed made of the options.
    pub(super) fn plan(&self) -> String {
        format!(
            "{} orgs, {} steps, {} restores, {:?}, {:?}, features: {}",
            self.orgs.len(),
            self.steps,
            self.restores_left,
            self.climate,
            self.quirks,
            self.features
        )
    }

    /// The end of a run that held.
    pub(super) fn passed(mut self) -> Passed {
        for org in &self.orgs {
            self.out.trace.mix(&org.log.head().hash.0);
        }
        let truth = &self.out.truth;
        self.out.totals.messages = truth.messages;
        self.out.totals.outcomes = truth.outcomes;
        Passed { totals: self.out.totals, trace: self.out.trace.hash() }
    }

    /// The last lines of the trace.
    pub(super) fn trace(&self) -> Vec<String> {
        self.out.trace.last()
    }

    /// The whole run.
    pub(super) fn live(&mut self) -> Result<(), Broken> {
        self.meet()?;
        self.out.bus.weather = self.climate.weather;
        let mut step = 0;
        while step < self.steps || self.out.totals.faults() < FAULTS_MIN {
            step += 1;
            self.out.now = self.out.now.plus_us(self.out.rng.between(500, 40_000));
            self.work()?;
            self.fault()?;
            self.turn()?;
        }
        self.heal()?;
        self.forge()?;
        self.rest("at rest")?;
        self.relax()?;
        self.rest("at rest, with the rules relaxed")?;
        self.compare_relaxed()
    }

    /// Every org is created, and every two of them agree on a connection.
    fn meet(&mut self) -> Result<(), Broken> {
        for at in 0..self.orgs.len() {
            let rules = self.out.rng.below(1 << RULES) as u32;
            let objects = self.schemas_of(at, rules);
            self.rules.splice(at..=at, [rules]);
            let (name, admin) = (self.org(at).name.clone(), self.out.person.clone());
            let token = NewToken::of([0; 32]);
            // An org may be connected with all others, and again after a connection has ended.
            let settings = OrgSettings { connection_licences: Some(1_000), ..OrgSettings::default() };
            let create = Command::CreateOrg { name, admin, token, objects, settings, sharing: true };
            self.must(at, &create, "creates the org")?;
        }
        for one in 0..self.orgs.len() {
            for two in one + 1..self.orgs.len() {
                self.connect(one, two)?;
            }
        }
        Ok(())
    }

    /// The handshake of two orgs; the welcome may get lost, then the first header counts.
    pub(super) fn connect(&mut self, inviter: usize, invited: usize) -> Result<(), Broken> {
        let expires = self.out.now.plus_us(INVITATION_US);
        let (secret_hash, public_key) = ([7; 32], [8; 32]);
        let invite = Command::Invite { secret_hash, expires, owner: None, label: "partner".to_owned() };
        let Reply::Connection(connection) = self.must(inviter, &invite, "invites")? else { return Ok(()) };
        let answer = Command::Answer {
            connection,
            inviter: self.org(inviter).name.clone(),
            public_key,
            secret_hash,
            expires,
            accept: true,
            owner: None,
            label: "inviter".to_owned(),
        };
        self.must(invited, &answer, "answers")?;
        let incarnation = |world: &Self, at| {
            world.org(at).state().org.as_ref().map(|org| org.incarnation).unwrap_or_default()
        };
        let hello = Command::TakeHello {
            connection,
            from: self.org(invited).name.clone(),
            accept: true,
            user: self.out.person.clone(),
            public_key,
            incarnation: incarnation(self, invited),
            by: None,
        };
        self.must(inviter, &hello, "hears the hello")?;
        if self.out.rng.chance(700) {
            let owner = Some(self.out.person.clone());
            let welcome = Command::TakeWelcome { connection, incarnation: incarnation(self, inviter), owner };
            self.must(invited, &welcome, "is welcome")?;
        }
        self.connections.push((connection, inviter, invited));
        for (at, other) in [(inviter, invited), (invited, inviter)] {
            self.out.note(at, format_args!("has connection {connection} with org-{other}"));
        }
        Ok(())
    }

    /// The org of a number.
    #[expect(clippy::indexing_slicing, reason = "numbers of orgs come from the world itself")]
    pub(super) fn org(&self, at: usize) -> &SimOrg {
        &self.orgs[at]
    }

    /// Executes a command that has to succeed, and makes it durable.
    fn must(&mut self, at: usize, command: &Command, label: &str) -> Result<Reply, Broken> {
        let reply = self.execute(at, command, label)?;
        if let Some(org) = self.orgs.get_mut(at) {
            org.flush(&mut self.out)?;
        }
        reply.map_err(|refusal| Broken::new("the orgs can meet", refusal))
    }

    /// Executes a command at an org.
    pub(super) fn execute(
        &mut self,
        at: usize,
        command: &Command,
        label: &str,
    ) -> Result<Result<Reply, tieline_core::command::Refusal>, Broken> {
        #[expect(clippy::indexing_slicing, reason = "numbers of orgs come from the world itself")]
        self.orgs[at].execute(command, label, &mut self.out)
    }

    /// One turn of every org that runs.
    fn turn(&mut self) -> Result<(), Broken> {
        for at in 0..self.orgs.len() {
            let waits = self.down_until.get(at).is_some_and(|until| *until > self.out.now);
            let Some(org) = self.orgs.get_mut(at) else { continue };
            if !org.up && !waits {
                org.start(&mut self.out)?;
                self.out.bus.reread_all(at);
            }
        }
        self.deliver(700)?;
        for org in self.orgs.iter_mut().filter(|org| org.up) {
            let flush = self.out.rng.chance(600);
            org.turn(flush, &mut self.out)?;
        }
        Ok(())
    }

    /// Hands out what has arrived; each reader goes on so many times in a thousand.
    pub(super) fn deliver(&mut self, per_mille: u64) -> Result<(), Broken> {
        self.out.bus.settle(self.out.now);
        for lane in self.out.bus.lanes() {
            let Some(org) = self.orgs.get_mut(lane.to).filter(|org| org.up) else { continue };
            while self.out.rng.chance(per_mille) {
                let Some(packet) = self.out.bus.take(lane) else { break };
                org.take(lane.connection, &packet, &mut self.out)?;
            }
        }
        Ok(())
    }

    /// Something goes wrong, or not.
    fn fault(&mut self) -> Result<(), Broken> {
        let climate = self.climate;
        let at = self.out.rng.index(self.orgs.len());
        let lanes = self.out.bus.lanes();
        let lane = self.out.rng.pick(&lanes).copied();
        if self.out.rng.chance(climate.crash) {
            self.crash(at)?;
        }
        if let Some(lane) = lane {
            self.fault_of_lane(lane);
        }
        if self.out.rng.chance(climate.clock) {
            let skew = self.out.rng.between(-SKEW_US_MAX, SKEW_US_MAX);
            if let Some(org) = self.orgs.get_mut(at) {
                org.skew_us = skew;
                self.out.totals.clocks += 1;
                self.out.note(at, format_args!("has its clock set wrong by {skew} µs"));
            }
        }
        if climate.disk > 0 && self.out.disks.chance(climate.disk) {
            self.fault_of_disk(at)?;
        }
        if climate.restore > 0 {
            self.backup_or_restore(at)?;
        }
        Ok(())
    }

    /// A disk fails, stands still, or is full.
    fn fault_of_disk(&mut self, at: usize) -> Result<(), Broken> {
        let kind = self.out.disks.below(3);
        let until = self.out.now.plus_us(self.out.disks.between(10_000, 3_000_000));
        let Some(org) = self.orgs.get_mut(at).filter(|org| org.up) else { return Ok(()) };
        match kind {
            0 => {
                // A sync that fails is never tried again: what was written since may be there or not.
                self.out.totals.disk_errors += 1;
                self.die(at)?;
            }
            1 => {
                org.stalled_until = until;
                self.out.totals.stalls += 1;
                self.out.note(at, format_args!("has a disk that stands still until {}", until.0));
            }
            _ => {
                org.full_until = until;
                self.out.totals.full_disks += 1;
                self.out.note(at, format_args!("has a full disk until {}", until.0));
            }
        }
        Ok(())
    }

    fn fault_of_lane(&mut self, lane: Lane) {
        let (out, climate) = (&mut self.out, self.climate);
        if out.rng.chance(climate.partition) {
            let until = out.now.plus_us(out.rng.between(10_000, 4_000_000));
            out.bus.cut(lane, until);
            out.totals.partitions += 1;
            out.note(lane.to, format_args!("is not reached until {}", until.0));
        }
        if !out.rng.chance(climate.ring) {
            return;
        }
        match out.rng.below(5) {
            0 => {
                let anew = climate.disk > 0 && out.disks.chance(500);
                out.bus.forget(lane, anew);
                out.totals.forgotten += 1;
                out.note(lane.to, "has its inbox forgotten");
            }
            1 | 2 => out.bus.copy(lane),
            3 => {
                out.bus.roll_back(lane);
                out.totals.rolled_back += 1;
                out.note(lane.to, "has its inbox rolled back");
            }
            _ => {
                out.bus.reread(lane);
                out.totals.rereads += 1;
                out.note(lane.to, "reads its inbox from the start");
            }
        }
    }

    fn crash(&mut self, at: usize) -> Result<(), Broken> {
        if self.org(at).up {
            self.out.totals.crashes += 1;
            self.die(at)?;
        }
        Ok(())
    }

    /// A daemon ends at once, and comes back after a while.
    fn die(&mut self, at: usize) -> Result<(), Broken> {
        let Some(org) = self.orgs.get_mut(at) else { return Ok(()) };
        org.crash(&mut self.out)?;
        org.stalled_until = Timestamp::default();
        let pause = self.out.rng.between(0, 1_500_000);
        if let Some(until) = self.down_until.get_mut(at) {
            *until = self.out.now.plus_us(pause);
        }
        Ok(())
    }

    /// Copies an org's disk, or sets it back to a copy.
    fn backup_or_restore(&mut self, at: usize) -> Result<(), Broken> {
        if self.out.rng.chance(15) && self.org(at).up {
            let org = self.org(at);
            let mut backup = Backup { of: at, log: org.log.clone(), audit: org.audit.clone() };
            backup.log.crash();
            if self.backups.len() >= COPIES_MAX {
                self.backups.remove(0);
            }
            self.backups.push(backup);
            self.out.note(at, "is backed up");
        }
        if self.restores_left == 0 || !self.out.rng.chance(self.climate.restore) {
            return Ok(());
        }
        let Some(backup) = self.backups.iter().find(|backup| backup.of == at).cloned() else { return Ok(()) };
        self.restores_left -= 1;
        self.out.totals.restores += 1;
        let announced = self.out.rng.chance(500);
        let Some(org) = self.orgs.get_mut(at) else { return Ok(()) };
        org.restore(backup.log, backup.audit, &mut self.out);
        org.start(&mut self.out)?;
        if announced {
            let start = Command::StartIncarnation {
                cause: tieline_core::event::IncarnationCause::Restored,
                connection: None,
                above: tieline_core::Incarnation::default(),
            };
            self.must(at, &start, "knows that it was restored")?;
        }
        self.out.bus.reread_all(at);
        Ok(())
    }

    /// Everything that was wrong is mended: broker, clocks, daemons; people resume what is stopped.
    fn heal(&mut self) -> Result<(), Broken> {
        self.out.bus.heal();
        self.out.trace.note(self.out.now, "world", "is healed");
        for at in 0..self.orgs.len() {
            let Some(org) = self.orgs.get_mut(at) else { continue };
            org.skew_us = 0;
            (org.stalled_until, org.full_until) = (Timestamp::default(), Timestamp::default());
            if !org.up {
                org.start(&mut self.out)?;
                self.out.bus.reread_all(at);
            }
        }
        self.resume()
    }

    /// Breaks a rule behind the core's back, if that is wanted, wherever there is something to break.
    fn forge(&mut self) -> Result<(), Broken> {
        let Some(sabotage) = self.out.sabotage else { return Ok(()) };
        for org in &mut self.orgs {
            if let Some(event) = forge::event(sabotage, org.at, org.state()) {
                org.forge(&event)?;
                org.flush(&mut self.out)?;
            }
        }
        Ok(())
    }

    /// A person looks at suspended connections and lets them go on.
    pub(super) fn resume(&mut self) -> Result<(), Broken> {
        for at in 0..self.orgs.len() {
            let suspended: Vec<ConnectionId> = self
                .org(at)
                .state()
                .connections
                .values()
                .filter(|connection| connection.suspended)
                .map(|connection| connection.id)
                .collect();
            for connection in suspended {
                self.overridden = true;
                drop(self.execute(at, &Command::Resume { connection }, "resumes")?);
            }
            self.unpause(at)?;
        }
        Ok(())
    }

    /// What an org has paused goes on.
    fn unpause(&mut self, at: usize) -> Result<(), Broken> {
        let active = self.org(at).state().connections.values().filter(|connection| connection.is_active());
        let paused: Vec<(ConnectionId, Option<ObjectName>)> = active
            .flat_map(|connection| {
                let whole = connection.pauses.ours.iter().map(|_| (connection.id, None));
                let objects = connection.pauses.objects.keys();
                whole.chain(objects.map(|object| (connection.id, Some(object.clone())))).collect::<Vec<_>>()
            })
            .collect();
        for (connection, object) in paused {
            let set = Command::Pause(Pause::Set { connection, object, paused: false });
            drop(self.execute(at, &set, "lets go on")?);
        }
        Ok(())
    }

    /// Every rule of every org is given up, so that everything can come through.
    fn relax(&mut self) -> Result<(), Broken> {
        for at in 0..self.orgs.len() {
            self.drift.splice(at..=at, [0]);
            let schema = Box::new(self.schema_of(at, 0));
            drop(self.execute(at, &Command::DefineObject { schema }, "relaxes its rules")?);
        }
        Ok(())
    }
}
