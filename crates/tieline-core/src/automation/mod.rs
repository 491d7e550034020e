//! What happens by itself when a record changes, as an org defines it.
//!
//! - A [`Queue`] owns records until somebody takes them up; connections that are members get them.
//!
//! Definitions are whole: what is set replaces what was there. What a rule did is in the log as events;
//! replay evaluates nothing (`decide::automation`).

mod queue;

pub use queue::Queue;
