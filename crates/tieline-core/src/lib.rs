//! What Tieline means, without I/O.
//!
//! ```text
//! Command ──decide──▶ events ──apply──▶ State          frame ──link──▶ messages ──decide──▶ …
//!                       │                                 ▲
//!                       ▼ log                             └── outbox ── positions ◀── events
//! ```
//!
//! - Names and values: `ids`, [`value`], [`schema`], [`content`], [`stamp`], [`limits`].
//! - Facts: [`event`] (the log), [`message`] and [`frame`] (between orgs), [`codec`].
//! - Outside: [`effect`] (mail, webhooks), [`notice`] (what a user is told).
//! - People: [`people`] (roles, groups, editions) and what each command needs ([`mod@decide`]).
//! - What happens by itself: [`automation`] (queues; sharing, assignment, escalation, workflow).
//! - Rules: [`rules`] and [`expr`] (validation), [`mapping`] and [`publish`] (what crosses).
//! - Saved choices of records and offers: [`view`]; how records are shared: [`sharing`], [`account`].
//! - Settings as files: [`config`]; what will go wrong with them: [`mod@check`]; of connections: [`template`].
//! - The machine: [`mod@decide`], [`mod@apply`], [`state`], [`engine`], [`link`], [`outbox`], [`job`].
//!
//! This crate may not do I/O: no clock, environment, randomness, thread, socket or file, and no
//! map whose order depends on a hash. Time and randomness come with each command.

pub mod account;
pub mod apply;
pub mod audit;
pub mod automation;
pub mod check;
pub mod codec;
mod codes;
pub mod command;
pub mod config;
pub mod content;
pub mod conversion;
pub mod decide;
pub mod drift;
pub mod effect;
pub mod engine;
pub mod event;
pub mod expr;
pub mod frame;
mod ids;
pub mod inquiry;
pub mod invitation;
pub mod job;
pub mod limits;
pub mod link;
pub mod log;
pub mod mail_template;
pub mod mapping;
pub mod message;
pub mod msgpack;
pub mod notice;
pub mod outbox;
pub mod outcome;
mod owner;
pub mod owner_map;
pub mod pairing;
pub mod people;
pub mod publish;
pub mod reason;
pub mod reference;
pub mod report;
pub mod rules;
pub mod schema;
pub mod sharing;
pub mod stamp;
pub mod state;
mod suggest;
pub mod template;
pub mod value;
pub mod vecmap;
pub mod view;

pub use ids::*;
pub use owner::{AssignTo, Owner};
pub use stamp::Stamp;
