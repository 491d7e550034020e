//! The org at a glance.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State as Extract;
use serde::Serialize;
use tieline_core::people::Permission;
use tieline_core::state::State;
use utoipa::ToSchema;

use super::Api;
use super::auth::{Actor, Reading};
use super::connection_view::ConnectionSummary;
use super::problem::{ErrorCode, Problem};

/// The org at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusView {
    /// The org.
    org: String,
    /// The present life of its log.
    incarnation: String,
    /// The last event of the state.
    seq: u64,
    /// How far the log is durable.
    log: HeadView,
    /// Records by object, of the objects that the user may read.
    records: BTreeMap<String, usize>,
    /// The connections, for those who manage them.
    connections: Vec<ConnectionSummary>,
    /// Jobs that are not done.
    jobs: usize,
    /// Alarms at hand: see `/v1/alarms`.
    alarms: usize,
    /// The broker.
    broker: BrokerView,
    /// The disk of the log.
    space: SpaceView,
    /// The version of the daemon.
    version: &'static str,
    /// Seconds since the daemon started.
    uptime_s: u64,
}

/// How far the log reaches.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HeadView {
    /// Its last durable event.
    seq: u64,
    /// The chain hash there.
    hash: String,
}

/// The broker as this org sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BrokerView {
    /// Whether it is connected.
    connected: bool,
    /// Since when.
    since: String,
    /// The version of its server.
    version: Option<String>,
    /// Whether that is older than Tieline wants.
    outdated: bool,
    /// The last error; kept after it is over.
    last_error: Option<String>,
}

/// The disk of the log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SpaceView {
    /// What is free.
    free_bytes: u64,
    /// Writes are refused below this.
    threshold_bytes: u64,
    /// Whether writes are taken.
    writable: bool,
}

/// Shows the org at a glance.
#[utoipa::path(get, path = "/v1/status", tag = "org", responses((status = 200, body = StatusView)))]
pub(crate) async fn status(Extract(api): Extract<Api>, actor: Actor) -> Result<Json<StatusView>, Problem> {
    super::read(&api, |state| view(&api, state, actor.reading(state))).await
}

fn view(api: &Api, state: &State, reading: Reading<'_>) -> Result<StatusView, Problem> {
    let org = state.org.as_ref().ok_or_else(|| Problem::new(ErrorCode::NoOrg, "this log has no org yet"))?;
    let (head, broker, space) = (api.org.log().head(), api.org.broker(), api.org.space());
    let records = state
        .objects
        .keys()
        .filter(|name| reading.may(Permission::Read(name)))
        .map(|name| (name.to_string(), state.count_of(name)));
    let connections = state.connections.values().filter(|_| reading.may(Permission::ManageConnections));
    Ok(StatusView {
        org: org.name.to_string(),
        incarnation: org.incarnation.to_string(),
        seq: state.seq.0,
        log: HeadView { seq: head.seq.0, hash: head.hash.to_string() },
        records: records.collect(),
        connections: connections.map(|c| ConnectionSummary::of(api, state, c)).collect(),
        jobs: state.jobs.len(),
        alarms: state.alarms.len(),
        broker: BrokerView {
            connected: broker.connected,
            since: broker.since.to_string(),
            version: broker.server_version,
            outdated: broker.outdated,
            last_error: broker.last_error,
        },
        space: SpaceView {
            free_bytes: space.free_bytes,
            threshold_bytes: space.threshold_bytes,
            writable: space.writable,
        },
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: api.started.elapsed().as_secs(),
    })
}
