//! What surrounds the orgs: the true time, the randomness, the broker, the truth, the trace.

use std::fmt::{self, Display};
use std::str::FromStr;

use tieline_core::frame::FrameHeader;
use tieline_core::message::{Change, Envelope, Message};
use tieline_core::state::{Connection, State};
use tieline_core::value::Value;
use tieline_core::{OrgName, RecordId, Timestamp, UserName};

use super::audit::Truth;
use super::features::Feature;
use super::rng::Rng;
use super::trace::Trace;
use super::wire::{Bus, Fate, Lane, Packet};

/// A rule that is broken on purpose, to see that it is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// A message is taken a second time, as if it were the next one.
    Twice,
    /// A message is passed over.
    Skip,
    /// The publish rules are not asked.
    Leak,
    /// A value is changed on its way.
    Alter,
    /// References are changed on their way.
    Misdirect,
    /// A value that waits for approval is forgotten.
    Forget,
    /// A computed value is another one.
    Miscompute,
    /// A rule shares what is outside its criteria.
    Overshare,
    /// A lead is converted twice.
    Reconvert,
    /// A task goes without what it belongs to.
    Orphan,
    /// A rule writes although too many have written before it.
    Hop,
    /// An account is made although it is there.
    Remake,
}

impl Sabotage {
    /// Those of any run.
    pub const PLAIN: [Self; 4] = [Self::Twice, Self::Skip, Self::Leak, Self::Alter];
    /// Those of a run that has a feature.
    pub const OF_FEATURES: [(Feature, Self); 8] = [
        (Feature::Links, Self::Misdirect),
        (Feature::Approvals, Self::Forget),
        (Feature::Computed, Self::Miscompute),
        (Feature::Sharing, Self::Overshare),
        (Feature::Conversion, Self::Reconvert),
        (Feature::Tasks, Self::Orphan),
        (Feature::Workflow, Self::Hop),
        (Feature::Accounts, Self::Remake),
    ];
}

macro_rules! totals {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What happened how often.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Totals {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Totals {
            /// Adds those of another run.
            pub const fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }
        }

        impl Display for Totals {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "{:>14} {}", self.$name, stringify!($name).replace('_', " "))?;)*
                Ok(())
            }
        }
    };
}

totals! {
    /// Commands that were carried out.
    commands,
    /// Commands that were refused.
    refusals,
    /// Messages given out.
    messages,
    /// Outcomes of messages.
    outcomes,
    /// Frames built.
    frames,
    /// Packets lost.
    dropped,
    /// Packets that came twice.
    repeated,
    /// Packets that came late.
    delayed,
    /// Packets that were changed.
    corrupted,
    /// Packets that came to a wrong lane, too.
    misrouted,
    /// Packets that met a partition.
    cut,
    /// Packets that were thrown away for their seal.
    bad_seals,
    /// Partitions.
    partitions,
    /// Rings that the broker forgot, and began to number anew.
    forgotten,
    /// Rings that went back to an older copy.
    rolled_back,
    /// Readers that began again.
    rereads,
    /// Clocks that were set wrong.
    clocks,
    /// Daemons that died.
    crashes,
    /// Daemons that ended because their disk failed.
    disk_errors,
    /// Disks that stood still.
    stalls,
    /// Disks that were full.
    full_disks,
    /// Orgs that were set back to a backup.
    restores,
    /// Shares that were active at the end.
    shares,
    /// Fields that were compared at the end.
    fields,
    /// Values that waited at the end, before the rules were relaxed.
    waiting,
    /// Leads that were converted.
    conversions,
    /// Values of partners that people decided about.
    decisions,
    /// References that were compared at the end.
    links,
    /// Computed values that were compared at the end.
    computed,
}

impl Totals {
    /// All faults.
    #[must_use]
    pub const fn faults(&self) -> u64 {
        self.dropped
            + self.repeated
            + self.delayed
            + self.corrupted
            + self.misrouted
            + self.cut
            + self.partitions
            + self.forgotten
            + self.rolled_back
            + self.rereads
            + self.clocks
            + self.crashes
            + self.disk_errors
            + self.stalls
            + self.full_disks
            + self.restores
    }
}

/// What surrounds the orgs.
#[derive(Debug, Clone)]
pub(super) struct Outside {
    /// The true time; links run by it, as a steady clock.
    pub(super) now: Timestamp,
    /// Where all chance comes from.
    pub(super) rng: Rng,
    /// Where the chance of faults of disks comes from: a run without them is what it was before there
    /// were any.
    pub(super) disks: Rng,
    /// Where the chance of features comes from.
    pub(super) extras: Rng,
    /// The broker.
    pub(super) bus: Bus,
    /// What was truly given out.
    pub(super) truth: Truth,
    /// What happened.
    pub(super) trace: Trace,
    /// How often.
    pub(super) totals: Totals,
    /// Who gives the commands.
    pub(super) person: UserName,
    /// The orgs by their numbers.
    pub(super) names: Vec<OrgName>,
    /// What is broken on purpose.
    pub(super) sabotage: Option<Sabotage>,
}

/// A name that is valid by its making.
pub(super) fn name<T: FromStr<Err: fmt::Debug>>(text: &str) -> T {
    #[expect(clippy::expect_used, reason = "only valid names are made here")]
    text.parse().expect("a valid name")
}

impl Outside {
    /// The surroundings of so many orgs.
    #[must_use]
    pub(super) fn new(seed: u64, orgs: usize, trace: Trace) -> Self {
        Self {
            now: Timestamp(1_000_000_000_000),
            rng: Rng::new(seed),
            disks: Rng::new(!seed),
            extras: Rng::new(seed.rotate_left(32) ^ 0x0f0f_5a5a),
            bus: Bus::default(),
            truth: Truth::default(),
            trace,
            totals: Totals::default(),
            person: name("ann"),
            names: (0..orgs).map(|at| name(&format!("org-{at}"))).collect(),
            sabotage: None,
        }
    }

    /// Adds a line about an org.
    pub(super) fn note(&mut self, at: usize, what: impl Display) {
        let who = self.names.get(at).map_or("world", OrgName::as_str);
        self.trace.note(self.now, who, what);
    }

    /// Adds a line about a frame that was built.
    pub(super) fn trace_frame(&mut self, at: usize, header: &FrameHeader) {
        let (first, last, received) = (header.first, header.last(), header.received.position);
        self.note(at, format_args!("builds {first}..{last} for {}, has {received}", header.to));
    }

    /// The lane of what an org sends over a connection.
    #[must_use]
    pub(super) fn lane(&self, connection: &Connection) -> Option<Lane> {
        let partner = connection.partner.as_ref()?;
        let to = self.names.iter().position(|name| name == partner)?;
        Some(Lane { connection: connection.id, to })
    }

    /// Gives a packet to the broker.
    pub(super) fn publish(&mut self, lane: Lane, packet: Packet, heartbeat: bool) {
        let counter = match self.bus.publish(lane, packet, heartbeat, self.now, &mut self.rng) {
            Fate::Fine => return,
            Fate::Dropped => &mut self.totals.dropped,
            Fate::Repeated => &mut self.totals.repeated,
            Fate::Delayed => &mut self.totals.delayed,
            Fate::Corrupted => &mut self.totals.corrupted,
            Fate::Misrouted => &mut self.totals.misrouted,
            Fate::Cut => &mut self.totals.cut,
        };
        *counter += 1;
    }

    /// Breaks a frame on purpose, behind all checks, if that is wanted.
    pub(super) fn tamper(
        &mut self,
        mut header: FrameHeader,
        mut messages: Vec<Envelope>,
        state: &State,
    ) -> (FrameHeader, Vec<Envelope>) {
        let Some(sabotage) = self.sabotage else { return (header, messages) };
        let ours = state.connections.get(&header.connection).map(|c| c.inbound.received);
        // A frame of one message can be altered, but not without being empty, or known by its count.
        let least = if matches!(sabotage, Sabotage::Twice | Sabotage::Skip) { 2 } else { 1 };
        let bites = messages.len() >= least;
        let Some(ours) = ours.filter(|ours| bites && ours.position.next() == header.first) else {
            return (header, messages);
        };
        match sabotage {
            Sabotage::Twice => {
                if let Some(first) = messages.first().cloned() {
                    messages.insert(0, first);
                }
            }
            Sabotage::Skip => drop(messages.remove(0)),
            Sabotage::Alter => {
                for envelope in &mut messages {
                    alter(envelope, renamed);
                }
            }
            Sabotage::Misdirect => messages.iter_mut().for_each(|envelope| alter(envelope, misdirected)),
            _ => {}
        }
        header.count = u32::try_from(messages.len()).unwrap_or(header.count);
        let mut at = ours.position;
        header.chain_after = messages.iter().fold(ours.chain, |chain, envelope| {
            at = at.next();
            chain.then(at, envelope.seq, envelope.time)
        });
        (header, messages)
    }
}

/// Changes values of a change, as a careless mapping would.
fn alter(envelope: &mut Envelope, altered: impl Fn(&Change, &Value) -> Option<Value>) {
    if let Ok(Message::Change(mut change)) = Message::decode(envelope.kind, &envelope.body) {
        let values = change.content.iter();
        let values: Vec<_> = values
            .filter_map(|(name, value, stamp)| Some((name.clone(), altered(&change, value)?, stamp)))
            .collect();
        for (field, value, stamp) in values {
            change.content.set(field, value, stamp);
        }
        *envelope = Envelope::new(envelope.seq, envelope.time, &change.into());
    }
}

/// Another name.
fn renamed(_: &Change, value: &Value) -> Option<Value> {
    matches!(value, Value::Text(_)).then(|| Value::text("altered"))
}

/// A reference to the record that has it.
fn misdirected(change: &Change, value: &Value) -> Option<Value> {
    matches!(value, Value::Reference(_)).then(|| Value::Reference(RecordId(change.share.0)))
}
