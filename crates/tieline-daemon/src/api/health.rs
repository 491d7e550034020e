//! Whether the daemon lives and works, and its metrics. All of it is open: it names no record.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Serialize;
use tieline_core::state::ConnectionStatus;
use utoipa::ToSchema;

use super::connection_view::cause;
use super::{Api, scrape};

/// That the daemon lives.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Live {
    /// Always `ok`: a daemon whose log fails ends.
    status: &'static str,
}

/// Whether the daemon works, and why not.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ready {
    /// Whether the broker is connected, writes are taken, and every active connection works.
    ready: bool,
    /// The broker.
    broker: PartReady,
    /// The disk of the log.
    storage: PartReady,
    /// The active connections.
    connections: Vec<ConnectionReady>,
}

/// Whether a part works.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PartReady {
    /// Whether it does.
    ready: bool,
    /// Why not.
    cause: Option<String>,
}

/// Whether a connection works.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConnectionReady {
    /// The connection.
    connection: String,
    /// The partner, or the label of the connection.
    partner: String,
    /// Whether it does.
    ready: bool,
    /// Why not.
    cause: Option<String>,
}

impl PartReady {
    const fn of(cause: Option<String>) -> Self {
        Self { ready: cause.is_none(), cause }
    }
}

/// Says that the daemon lives.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200, body = Live)))]
pub(crate) async fn live() -> Json<Live> {
    Json(Live { status: "ok" })
}

/// Says whether the daemon works: 200 if all does, 503 with the causes if something does not.
#[utoipa::path(get, path = "/readyz", tag = "operations",
    responses((status = 200, body = Ready), (status = 503, body = Ready)))]
pub(crate) async fn ready(Extract(api): Extract<Api>) -> impl IntoResponse {
    let broker = PartReady::of(broker_cause(&api));
    let storage = PartReady::of(storage_cause(&api));
    let connections = api.org.read(|state| {
        let active = state.connections.values().filter(|c| c.status == ConnectionStatus::Active);
        let connections = active.map(|connection| {
            let cause = cause(&api, connection);
            ConnectionReady {
                connection: connection.id.to_string(),
                partner: connection.display_name().to_owned(),
                ready: cause.is_none(),
                cause,
            }
        });
        connections.collect::<Vec<_>>()
    });
    let connections = connections.await;
    let ready = broker.ready && storage.ready && connections.iter().all(|connection| connection.ready);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready, broker, storage, connections }))
}

fn broker_cause(api: &Api) -> Option<String> {
    let broker = api.org.broker();
    if broker.connected {
        return None;
    }
    if broker.denied {
        return Some(
            "the broker refuses the keys of this org: add its public.json to the broker's configuration"
                .to_owned(),
        );
    }
    let last = broker.last_error.map_or_else(String::new, |error| format!(": {error}"));
    Some(format!("the broker is not connected{last}"))
}

fn storage_cause(api: &Api) -> Option<String> {
    let space = api.org.space();
    (!space.writable).then(|| {
        format!(
            "only {} bytes are free on the disk of the log, writes need {}: free some space",
            space.free_bytes, space.threshold_bytes
        )
    })
}

/// Shows all metrics in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = 200, content_type = "text/plain", body = String)))]
pub(crate) async fn metrics(Extract(api): Extract<Api>) -> impl IntoResponse {
    scrape::observe(&api).await;
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], api.org.observer().metrics().render())
}
