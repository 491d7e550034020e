//! Frames that no daemon would send: a partner that breaks the rules, and a stranger that tries.
//!
//! A forge has the keys of one org and works beside its daemon, or in its place: it reads the frames
//! that the org's daemon sent, and publishes what it likes. It is the only part of the kit that can
//! lie well, since it has the keys to seal its lies.

use std::sync::Arc;

use tieline_bus::bus::{FrameAck, InboxEvent, InboxSpec};
use tieline_bus::seal::{seal_frame, split};
use tieline_bus::{Bus, BusConfig, Bytes, ConnectionUrl, DirectionKeys, OrgKeys};
use tieline_core::frame::FrameHeader;
use tieline_core::limits::WINDOW_BYTES_MAX;
use tieline_core::{ConnectionId, Position};
use tokio::runtime::Runtime;

use crate::live::OrgHome;

/// What an org would need to deceive its partner.
pub struct Forge {
    runtime: Runtime,
    /// The bus of the org whose name is used.
    sender: Bus,
    /// The bus of the org that is to be deceived: its ring is read over it.
    receiver: Bus,
    /// The keys of the direction from the one to the other.
    pub keys: DirectionKeys,
    /// The connection.
    pub connection: ConnectionId,
}

impl Forge {
    /// Takes the keys of `from`, which invited `to` with `url`, to write into the inbox of `to`.
    #[must_use]
    pub fn new(broker: &str, from: &OrgHome, to: &OrgHome, url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let url: ConnectionUrl = url.parse().expect("a connection URL");
        let (ours, theirs) = (keys(from), keys(to));
        let keys = DirectionKeys::derive(
            ours.x25519_secret(),
            theirs.x25519_public(),
            &url.secret_hash(),
            url.connection,
            &from.name,
            &to.name,
        );
        let keys = keys.expect("a key that is not weak");
        let (sender, receiver) = (bus(&runtime, broker, ours), bus(&runtime, broker, theirs));
        Self { runtime, sender, receiver, keys, connection: url.connection }
    }

    /// Every frame that lies in the ring now, the oldest first.
    #[must_use]
    pub fn captured(&self) -> Vec<Bytes> {
        let partner = self.sender.org().clone();
        let spec = InboxSpec { partner, connection: self.connection, window_bytes: WINDOW_BYTES_MAX as u64 };
        let mut reader = self.receiver.read_inbox(spec);
        let mut frames = Vec::new();
        self.runtime.block_on(async {
            loop {
                match reader.next().await.expect("a bus that runs") {
                    InboxEvent::Restarted { inbox, .. } if inbox.frames == 0 => return,
                    InboxEvent::Restarted { .. } => frames.clear(),
                    InboxEvent::Arrived(arrived) => {
                        let last = arrived.waiting == 0;
                        frames.push(arrived.bytes);
                        if last {
                            return;
                        }
                    }
                }
            }
        });
        frames
    }

    /// What the captured frames carry, opened with the key of their direction.
    #[must_use]
    pub fn opened(&self) -> Vec<Vec<u8>> {
        let open = |frame: &Bytes| split(frame).ok()?.open(&self.keys.sending).ok();
        self.captured().iter().filter_map(open).collect()
    }

    /// The header of the last frame that the org's daemon sent.
    #[must_use]
    pub fn last_header(&self) -> FrameHeader {
        header(self.captured().last().expect("a frame in the ring"))
    }

    /// Seals a frame as the org would.
    #[must_use]
    pub fn seal(&self, header: &FrameHeader, body: &[u8]) -> Vec<u8> {
        seal_frame(&self.keys.sending, &header.encode(), body).expect("a sealed frame")
    }

    /// Puts bytes into the ring, and waits until the broker has them.
    pub fn publish(&self, frame: impl Into<Bytes>) {
        self.runtime.block_on(async {
            self.send(&self.sender, frame.into()).await.outcome().await.expect("stored");
        });
    }

    /// Sends bytes as a heartbeat.
    pub fn heartbeat(&self, frame: impl Into<Bytes>) {
        let (to, id) = (self.receiver.org(), self.connection);
        self.runtime.block_on(self.sender.heartbeat(to, id, frame.into())).expect("a heartbeat");
    }

    /// Lets another org of the broker send `frame`, into the ring and as a heartbeat of the same
    /// connection. Whether the broker stored it anywhere.
    #[must_use]
    pub fn stranger(&self, broker: &str, stranger: &OrgHome, frame: &[u8], heartbeat: &[u8]) -> bool {
        let bus = bus(&self.runtime, broker, keys(stranger));
        self.runtime.block_on(async {
            let ack = self.send(&bus, Bytes::copy_from_slice(frame)).await;
            let heartbeat = Bytes::copy_from_slice(heartbeat);
            bus.heartbeat(self.receiver.org(), self.connection, heartbeat).await.expect("a heartbeat");
            bus.echo().await.expect("the broker has all of it");
            ack.outcome().await.is_ok()
        })
    }

    async fn send(&self, bus: &Bus, frame: Bytes) -> FrameAck {
        bus.publish_frame(self.receiver.org(), self.connection, frame).await.expect("a frame that leaves")
    }
}

/// The clear header of a sealed frame.
#[must_use]
pub fn header(frame: &[u8]) -> FrameHeader {
    FrameHeader::decode(split(frame).expect("a frame").header).expect("a header")
}

/// The header of a frame with `count` messages right after the frame of `last`.
#[must_use]
pub fn following(last: &FrameHeader, count: u32) -> FrameHeader {
    FrameHeader {
        first: last.last().next(),
        count,
        chain_before: last.chain_after,
        head: Position(last.last().0 + u64::from(count)),
        clock: tieline_daemon::clock::now(),
        ..last.clone()
    }
}

fn keys(home: &OrgHome) -> Arc<OrgKeys> {
    Arc::new(OrgKeys::load(&tieline_daemon::keys_dir(home.path())).expect("keys"))
}

fn bus(runtime: &Runtime, broker: &str, keys: Arc<OrgKeys>) -> Bus {
    runtime.block_on(async {
        let bus = Bus::start(BusConfig::new(broker, keys)).await.expect("a bus");
        bus.status().wait_for(|status| status.connected).await.expect("a connection");
        bus
    })
}
