//! The state in one number.
//!
//! It is the hash of what the log comes to: the events are folded again, from the newest snapshot
//! on, beside the running state, so that no write waits for it. The state in memory is hashed only
//! when that is asked for, to compare the two; writes do wait then.

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::auth::Actor;
use super::log::blocking;
use super::problem::{ErrorCode, Problem};
use super::request::Params;
use crate::org::OrgHandle;
use crate::replay::{ReplayError, rebuild};

/// Which state is hashed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StateHashQuery {
    /// Whether the state in memory is hashed instead of what the log comes to; writes wait meanwhile.
    #[serde(default)]
    memory: bool,
}

/// The state in one number.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StateHashView {
    /// The last event of the state.
    seq: u64,
    /// The canonical hash: equal wherever the same events were folded.
    hash: String,
}

/// Shows the canonical hash of the state, as the log up to the last durable event makes it.
#[utoipa::path(get, path = "/v1/state-hash", tag = "org", params(StateHashQuery),
    responses((status = 200, body = StateHashView)))]
pub(crate) async fn state_hash(
    Extract(api): Extract<Api>,
    _actor: Actor,
    Params(query): Params<StateHashQuery>,
) -> Result<Json<StateHashView>, Problem> {
    let org = api.org.clone();
    if query.memory {
        let hashed = blocking(move || org.peek(|state| (state.seq.0, state.hash().to_string())));
        let (seq, hash) = hashed.await?;
        // What was hashed is durable when what is read now is.
        api.org.read(|_| ()).await;
        return Ok(Json(StateHashView { seq, hash }));
    }
    // A second state is in memory meanwhile: one at a time.
    let turn = api.verifying.clone().lock_owned().await;
    let folded = blocking(move || {
        let _turn = turn;
        fold(&org)
    });
    folded.await?.map(Json).map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "the log cannot be replayed");
        Problem::new(ErrorCode::LogUnreadable, format!("{error}: run `tieline log verify`"))
    })
}

/// The hash of what the log comes to. It never looks at the running state.
fn fold(org: &OrgHandle) -> Result<StateHashView, ReplayError> {
    let rebuilt = rebuild(&org.shared.log, Some(&org.shared.snapshots))?;
    let state = rebuilt.engine.state();
    Ok(StateHashView { seq: state.seq.0, hash: state.hash().to_string() })
}

#[cfg(test)]
mod tests {
    use std::sync::PoisonError;

    use tieline_bus::OrgKeys;
    use tieline_core::OrgName;

    use super::*;
    use crate::config::Config;
    use crate::{Daemon, init, keys_dir};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_hash_is_told_while_the_writer_works() {
        let data = tempfile::tempdir().unwrap();
        let name: OrgName = "acme".parse().unwrap();
        OrgKeys::generate(name.clone()).unwrap().save(&keys_dir(data.path())).unwrap();
        init::create_org(data.path(), init::NewOrg::new(name, "ann".parse().unwrap()), "tl_test").unwrap();
        let mut config = Config::defaults().unwrap();
        config.data_dir = data.path().to_owned();
        config.broker.url = "127.0.0.1:1".parse().unwrap();
        config.http.listen = "127.0.0.1:0".parse().unwrap();
        config.store.min_free_bytes = 16 << 20;
        let daemon = Daemon::start(&config, false).await.unwrap();
        let org = daemon.handle().clone();
        let expected = org.peek(|state| (state.seq.0, state.hash().to_string()));
        let working = org.clone();
        let folded = tokio::task::spawn_blocking(move || {
            // As the writer holds it while it decides: nobody reads the state in memory now.
            let _writing = working.shared.engine.write().unwrap_or_else(PoisonError::into_inner);
            let hashing = std::thread::spawn({
                let org = working.clone();
                move || fold(&org)
            });
            hashing.join().unwrap()
        });
        let folded = folded.await.unwrap().unwrap();
        assert_eq!((folded.seq, folded.hash), expected);
        daemon.stop().await;
    }
}
