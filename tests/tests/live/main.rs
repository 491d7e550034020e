//! Two and three real daemons over a real nats-server, driven through their handles.

// A test ends where something is not as it has to be.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs)]

mod automation;
mod broker;
mod invitations;
mod keys;
mod mapping;
mod newcomer;
mod outside;
mod pause;
mod references;
mod refusal;
mod restore;
mod several;
mod share;
mod views;
