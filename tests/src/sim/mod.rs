//! The simulator: whole orgs over a broker that does its worst, all decided by one seed.
//!
//! Each org is the real machine (`Engine`, `Link`, outbox, log) driven as the daemon drives it;
//! time, broker, disk and people are simulated. A run goes through four parts: the orgs meet, live
//! with faults, are healed and come to rest, and then have their rules relaxed and come to rest
//! again. What is held against them:
//!
//! - **at each step** (`audit`, `leaving`): seqs and positions are dense; what is taken is what was
//!   given out, once and in order; counters balance; nothing leaves before it is durable; only
//!   published fields leave; no remote act deletes a record; what was acknowledged survives; the
//!   first acceptance wins; replaying the log gives the same hash;
//! - **at rest** (`rest`): everything sent was received and has one outcome, known on both sides;
//!   shares agree; fields that map both ways have the same stamp and the mapped value, or the
//!   difference is listed as pending; and rest comes at all.
//!
//! It must never read a clock, an environment or a map whose order depends on a hash: the same
//! seed gives the same trace, to the last bit.

mod audit;
mod dialect;
mod features;
mod leaving;
mod org;
mod outside;
mod rest;
mod rng;
mod trace;
mod wire;
mod work;
mod world;

use std::fmt::{self, Display};

pub use features::{Feature, Features};
pub use outside::{Sabotage, Totals};
pub use rng::Rng;

use world::World;

/// A rule that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The rule.
    pub invariant: &'static str,
    /// What was seen instead.
    pub detail: String,
}

impl Broken {
    /// A rule that did not hold, and what was seen instead.
    pub fn new(invariant: &'static str, detail: impl Display) -> Self {
        Self { invariant, detail: detail.to_string() }
    }
}

impl Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.detail)
    }
}

/// What a run is to be; the seed decides the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How many orgs, 2 or 3; nothing lets the seed decide.
    pub orgs: Option<usize>,
    /// How many steps of work and faults.
    pub steps: u32,
    /// Whether orgs are set back to old copies.
    pub restores: bool,
    /// Whether disks fail, stand still and are full.
    pub disks: bool,
    /// Whether offers are accepted into records that are there already, whatever they were shared as
    /// before.
    pub adopts: bool,
    /// What a run may know beyond plain records and shares.
    pub features: Features,
    /// Whether the seed decides which of these a run has; else it has all.
    pub drawn: bool,
    /// A rule that is broken on purpose.
    pub sabotage: Option<Sabotage>,
    /// Whether every line of the trace is kept.
    pub verbose: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            orgs: None,
            steps: 400,
            restores: true,
            disks: true,
            adopts: false,
            features: Features::NONE,
            drawn: true,
            sabotage: None,
            verbose: false,
        }
    }
}

/// A run that held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// What happened how often.
    pub totals: Totals,
    /// The hash of the whole trace and of every log.
    pub trace: u64,
}

/// A run that did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Run this again.
    pub seed: u64,
    /// The rule.
    pub broken: Broken,
    /// The last lines of the trace.
    pub trace: Vec<String>,
}

impl Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        write!(f, "seed {} broke a rule.\n{}", self.seed, self.broken)
    }
}

/// Runs one seed.
///
/// # Errors
/// A rule did not hold; the failure tells the seed, the rule and the last lines of the trace.
pub fn run(seed: u64, options: &Options) -> Result<Passed, Box<Failed>> {
    let mut world = World::new(seed, options);
    match world.live() {
        Ok(()) => Ok(world.passed()),
        Err(broken) => Err(Box::new(Failed { seed, broken, trace: world.trace() })),
    }
}

/// What the seed makes of the options, for people.
#[must_use]
pub fn plan(seed: u64, options: &Options) -> String {
    World::new(seed, options).plan()
}
