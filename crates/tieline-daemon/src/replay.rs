//! From disk to state: the newest good snapshot, and the tail of the log after it.

use tieline_core::Seq;
use tieline_core::engine::Engine;
use tieline_core::log::StoredEvent;
use tieline_core::state::{STATE_FORMAT, State};
use tieline_store::{LogReader, SnapshotStore};

/// Why the state could not be rebuilt. The log itself can still be read with `tieline log`.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A part of the log cannot be read.
    #[error("the log cannot be read: run `tieline log verify`")]
    Read(#[from] tieline_store::ReadError),
    /// An event is not what its kind says.
    #[error("event {seq} cannot be decoded: it is damaged, or of another version of tieline")]
    Decode {
        /// The event.
        seq: Seq,
        /// What is wrong.
        #[source]
        source: tieline_core::codec::DecodeError,
    },
}

/// A rebuilt state.
#[derive(Debug)]
pub struct Rebuilt {
    /// The engine with that state.
    pub engine: Engine,
    /// The snapshot that it began with; zero if none.
    pub snapshot: Seq,
    /// Events that were folded after it.
    pub replayed: u64,
}

/// Rebuilds the state from the newest good snapshot and the log after it, up to what is durable now.
///
/// # Errors
/// The log is damaged.
pub fn rebuild(log: &LogReader, snapshots: Option<&SnapshotStore>) -> Result<Rebuilt, ReplayError> {
    // A log that is written on meanwhile is not chased.
    let head = log.head().seq;
    let state = snapshots.and_then(|snapshots| newest(snapshots, head)).unwrap_or_default();
    let snapshot = state.seq;
    let mut engine = Engine::new(state);
    let mut cursor = log.cursor(snapshot.next());
    let mut replayed = 0;
    while let Some(groups) = cursor.next_groups()? {
        let wanted = groups.events().filter(|event| event.seq > snapshot && event.seq <= head);
        for StoredEvent { seq, time, kind, body, .. } in wanted {
            engine.replay(time, kind, body).map_err(|source| ReplayError::Decode { seq, source })?;
            replayed += 1;
        }
        if engine.state().seq >= head {
            break;
        }
    }
    Ok(Rebuilt { engine, snapshot, replayed })
}

/// The newest snapshot that can be used; those that cannot are named and passed over.
fn newest(snapshots: &SnapshotStore, head: Seq) -> Option<State> {
    let found = match snapshots.newest_good(STATE_FORMAT, head) {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "snapshots cannot be read: the whole log is replayed");
            return None;
        }
    };
    for skipped in &found.skipped {
        tracing::warn!(?skipped, "a snapshot was passed over");
    }
    let snapshot = found.snapshot?;
    match State::from_bytes(&snapshot.bytes) {
        Ok(state) if state.seq == snapshot.seq && state.hash().0 == snapshot.state_hash => Some(state),
        Ok(_) => {
            tracing::warn!(seq = %snapshot.seq, "a snapshot does not have its hash: the whole log is replayed");
            None
        }
        Err(error) => {
            tracing::warn!(%error, "a snapshot cannot be used: the whole log is replayed");
            None
        }
    }
}
