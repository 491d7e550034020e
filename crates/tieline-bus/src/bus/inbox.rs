//! Rings: one stream per connection, in the receiver's own account.
//!
//! A ring is worth nothing: whatever it loses is sent again. So it is made in one request, and one
//! that is not as it should be is changed, or thrown away and made anew.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType};
use tieline_core::{ConnectionId, OrgName};

use super::{Bus, BusError, backoff};
use crate::limits::{FRAME_BYTES_MAX, RING_WINDOWS_PERCENT};
use crate::subjects;

/// Which ring is meant, and how large it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxSpec {
    /// Who writes into it.
    pub partner: OrgName,
    /// The connection that it belongs to.
    pub connection: ConnectionId,
    /// Window of the sender in sealed bytes; the ring holds two of them and a tenth more.
    pub window_bytes: u64,
}

/// What a ring holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxInfo {
    /// Name of the stream at the broker.
    pub stream: String,
    /// Frames in it.
    pub frames: u64,
    /// Bytes in it, with the broker's own per frame.
    pub bytes: u64,
    /// Bytes that it may hold before the oldest frames go.
    pub bytes_max: u64,
    /// Number of the oldest frame in it.
    pub first_seq: u64,
    /// Number of the newest frame that ever was in it.
    pub last_seq: u64,
}

impl From<Info> for InboxInfo {
    fn from(info: Info) -> Self {
        Self {
            frames: info.state.messages,
            bytes: info.state.bytes,
            bytes_max: u64::try_from(info.config.max_bytes).unwrap_or(0),
            first_seq: info.state.first_sequence,
            last_seq: info.state.last_sequence,
            stream: info.config.name,
        }
    }
}

/// How often a ring is made that takes the place of another one, in half a second or so.
const REPLACE_TRIES: u32 = 5;

const MAKE: &str = "make an inbox";
const REMOVE: &str = "remove an inbox";

impl Bus {
    /// Makes the ring of a connection, or sees to it that it is as it should be.
    ///
    /// # Errors
    /// [`BusError::Disconnected`] at once, or when the connection is lost meanwhile;
    /// [`BusError::Timeout`]; [`BusError::Refused`], for example when the broker's disk is full or
    /// the org has too many connections; [`BusError::NoStorage`].
    pub async fn ensure_inbox(&self, spec: &InboxSpec) -> Result<InboxInfo, BusError> {
        self.while_connected(self.make_ring(spec)).await
    }

    /// Removes the ring of a connection that has ended. One that is not there is fine.
    ///
    /// # Errors
    /// As [`Bus::ensure_inbox`].
    pub async fn remove_inbox(&self, connection: ConnectionId) -> Result<(), BusError> {
        self.while_connected(self.remove_ring(connection)).await
    }

    pub(super) async fn make_ring(&self, spec: &InboxSpec) -> Result<InboxInfo, BusError> {
        let js = &self.inner.js;
        let config = self.ring(spec);
        match self.create_ring(&config).await {
            Err(error) if error.jetstream_code() == Some(ErrorCode::STREAM_NAME_EXIST) => {}
            made => return made,
        }
        // It is there with other settings. Most can be changed, the kind of storage can not.
        let changed = js.update_stream(&config).await;
        match changed.map_err(|error| BusError::from_create(MAKE, &self.inner.org, error)) {
            Err(error) if error.jetstream_code() == Some(ErrorCode::STREAM_INVALID_CONFIG) => {}
            changed => return changed.map(InboxInfo::from),
        }
        self.remove_ring(spec.connection).await?;
        for attempt in 1..REPLACE_TRIES {
            match self.create_ring(&config).await {
                // The server removes files in the background, and cannot make them meanwhile.
                Err(error) if error.jetstream_code() == Some(ErrorCode::STREAM_CREATE) => {
                    tokio::time::sleep(backoff(attempt)).await;
                }
                made => return made,
            }
        }
        self.create_ring(&config).await
    }

    async fn create_ring(&self, config: &Config) -> Result<InboxInfo, BusError> {
        let made = self.inner.js.create_stream(config.clone()).await;
        let made = made.map_err(|error| BusError::from_create(MAKE, &self.inner.org, error))?;
        Ok(made.cached_info().clone().into())
    }

    async fn remove_ring(&self, connection: ConnectionId) -> Result<(), BusError> {
        let removed = self.inner.js.delete_stream(subjects::ring(connection)).await;
        match removed.map_err(|error| BusError::from_delete(REMOVE, error)) {
            Err(error) if error.jetstream_code() == Some(ErrorCode::STREAM_NOT_FOUND) => Ok(()),
            removed => removed.map(|_| ()),
        }
    }

    /// The settings of a ring. Everything named here is known to nats-server 2.9.
    fn ring(&self, spec: &InboxSpec) -> Config {
        let bytes = spec.window_bytes.saturating_mul(RING_WINDOWS_PERCENT) / 100;
        Config {
            name: subjects::ring(spec.connection),
            subjects: vec![subjects::frames_in(&self.inner.org, &spec.partner, spec.connection)],
            storage: StorageType::File,
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::Old,
            max_bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
            // A frame and the little that the broker counts beside it.
            max_message_size: i32::try_from(FRAME_BYTES_MAX + 1_024).unwrap_or(i32::MAX),
            num_replicas: self.inner.replicas,
            ..Config::default()
        }
    }
}
