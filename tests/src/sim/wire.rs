//! The broker as it may be: a ring per direction that drops, repeats, delays, mixes up, forgets
//! and rolls back, and a reader that begins anew whenever it likes.
//!
//! A packet carries a checksum of header and body in place of the seal: like the seal, it notices
//! every changed byte; unlike the seal, it costs nothing and needs no keys.

use std::collections::{BTreeMap, VecDeque};

use tieline_core::{ConnectionId, Timestamp};

use super::rng::Rng;

/// Most packets that a ring keeps: small, so that it overflows while a reader is away.
const RING_PACKETS: usize = 48;

/// One frame on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet {
    /// The header bytes.
    pub(super) header: Vec<u8>,
    /// The body bytes; empty in a heartbeat.
    pub(super) body: Vec<u8>,
    seal: u64,
}

impl Packet {
    /// A packet with its checksum.
    #[must_use]
    pub(super) fn seal(header: Vec<u8>, body: Vec<u8>) -> Self {
        let seal = checksum(&header, &body);
        Self { header, body, seal }
    }

    /// Whether the packet is as it was sealed.
    #[must_use]
    pub(super) fn is_whole(&self) -> bool {
        self.seal == checksum(&self.header, &self.body)
    }

    /// Bytes on the wire.
    #[must_use]
    pub(super) const fn size(&self) -> usize {
        self.header.len() + self.body.len()
    }
}

fn checksum(header: &[u8], body: &[u8]) -> u64 {
    let length = (header.len() as u64).to_le_bytes();
    let bytes = length.iter().chain(header).chain(body);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// One direction of a connection: to whom its packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane {
    /// The connection.
    pub(super) connection: ConnectionId,
    /// The number of the receiving org.
    pub(super) to: usize,
}

/// A packet that has not arrived.
#[derive(Debug, Clone)]
struct Moving {
    at: Timestamp,
    packet: Packet,
    heartbeat: bool,
}

/// What the broker keeps for one lane.
#[derive(Debug, Clone, Default)]
struct Inbox {
    moving: Vec<Moving>,
    /// The ring; its first packet has the number `first`.
    ring: VecDeque<Packet>,
    first: u64,
    /// The next packet that the reader takes.
    cursor: u64,
    heartbeats: VecDeque<Packet>,
    /// An older copy of the ring, to which its disk may go back.
    copy: Option<(VecDeque<Packet>, u64)>,
    cut_until: Timestamp,
    /// When the last packet that kept its place arrives.
    in_order: Timestamp,
}

/// How often the network does what, in a thousand packets.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weather {
    /// A packet is lost.
    pub(super) drop: u64,
    /// A packet comes twice.
    pub(super) repeat: u64,
    /// A packet takes long, so that later ones overtake it.
    pub(super) delay: u64,
    /// A byte changes, or the end is cut off.
    pub(super) corrupt: u64,
    /// A packet goes to another lane as well.
    pub(super) misroute: u64,
}

/// The broker.
#[derive(Debug, Clone, Default)]
pub(super) struct Bus {
    lanes: BTreeMap<Lane, Inbox>,
    /// The present weather.
    pub(super) weather: Weather,
}

/// What became of a packet that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is on its way.
    Fine,
    /// It was lost.
    Dropped,
    /// It comes twice.
    Repeated,
    /// It comes late.
    Delayed,
    /// It comes changed.
    Corrupted,
    /// It comes to a wrong lane, too.
    Misrouted,
    /// It met a partition.
    Cut,
}

impl Bus {
    /// Publishes a packet.
    pub(super) fn publish(
        &mut self,
        lane: Lane,
        packet: Packet,
        heartbeat: bool,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Fate {
        let weather = self.weather;
        let others: Vec<Lane> = self.lanes.keys().filter(|other| **other != lane).copied().collect();
        let inbox = self.lanes.entry(lane).or_default();
        let mut at = now.plus_us(rng.between(200, 2_000));
        if now < inbox.cut_until {
            // A client that lost its broker drops what it was given, or keeps it until it is back.
            if rng.chance(500) {
                return Fate::Cut;
            }
            at = inbox.cut_until.plus_us(rng.between(0, 3_000));
        }
        let draw = rng.below(1_000);
        let mut bound = weather.drop;
        if draw < bound {
            return Fate::Dropped;
        }
        bound += weather.repeat;
        if draw < bound {
            let again = now.plus_us(rng.between(200, 400_000));
            inbox.moving.push(Moving { at, packet: packet.clone(), heartbeat });
            inbox.moving.push(Moving { at: again, packet, heartbeat });
            return Fate::Repeated;
        }
        bound += weather.delay;
        if draw < bound {
            let at = now.plus_us(rng.between(5_000, 3_000_000));
            inbox.moving.push(Moving { at, packet, heartbeat });
            return Fate::Delayed;
        }
        bound += weather.corrupt;
        if draw < bound {
            inbox.moving.push(Moving { at, packet: spoil(packet, rng), heartbeat });
            return Fate::Corrupted;
        }
        bound += weather.misroute;
        if draw < bound
            && let Some(other) = rng.pick(&others)
        {
            let twin = Moving { at, packet: packet.clone(), heartbeat };
            self.lanes.entry(*other).or_default().moving.push(twin);
            self.lanes.entry(lane).or_default().moving.push(Moving { at, packet, heartbeat });
            return Fate::Misrouted;
        }
        // One client's packets keep their order unless something goes wrong.
        let at = at.max(inbox.in_order);
        inbox.in_order = at;
        inbox.moving.push(Moving { at, packet, heartbeat });
        Fate::Fine
    }

    /// Puts what has arrived into the rings.
    pub(super) fn settle(&mut self, now: Timestamp) {
        for inbox in self.lanes.values_mut() {
            if inbox.moving.iter().all(|moving| moving.at > now) {
                continue;
            }
            inbox.moving.sort_by_key(|moving| moving.at);
            let due = inbox.moving.partition_point(|moving| moving.at <= now);
            for moving in inbox.moving.drain(..due) {
                if moving.heartbeat {
                    inbox.heartbeats.push_back(moving.packet);
                    continue;
                }
                inbox.ring.push_back(moving.packet);
                if inbox.ring.len() > RING_PACKETS {
                    inbox.ring.pop_front();
                    inbox.first += 1;
                }
            }
        }
    }

    /// The next packet that the reader of a lane takes.
    pub(super) fn take(&mut self, lane: Lane) -> Option<Packet> {
        let inbox = self.lanes.get_mut(&lane)?;
        if let Some(packet) = inbox.heartbeats.pop_front() {
            return Some(packet);
        }
        inbox.cursor = inbox.cursor.max(inbox.first);
        let packet = inbox.ring.get(usize::try_from(inbox.cursor - inbox.first).ok()?)?.clone();
        inbox.cursor += 1;
        Some(packet)
    }

    /// Whether nothing is under way or unread.
    #[must_use]
    pub(super) fn is_idle(&self) -> bool {
        self.lanes.values().all(|inbox| {
            let end = inbox.first + inbox.ring.len() as u64;
            inbox.moving.iter().all(|moving| moving.heartbeat) && inbox.cursor.max(inbox.first) >= end
        })
    }

    /// When the next packet arrives.
    #[must_use]
    pub(super) fn next_arrival(&self) -> Option<Timestamp> {
        self.lanes.values().flat_map(|inbox| inbox.moving.iter().map(|moving| moving.at)).min()
    }

    /// The lanes that were ever used.
    #[must_use]
    pub(super) fn lanes(&self) -> Vec<Lane> {
        self.lanes.keys().copied().collect()
    }

    /// The reader of a lane begins again at the start of the ring.
    pub(super) fn reread(&mut self, lane: Lane) {
        if let Some(inbox) = self.lanes.get_mut(&lane) {
            inbox.cursor = inbox.first;
        }
    }

    /// Everybody's readers of one org begin again, as its daemon restarts.
    pub(super) fn reread_all(&mut self, to: usize) {
        for (_, inbox) in self.lanes.iter_mut().filter(|(lane, _)| lane.to == to) {
            inbox.cursor = inbox.first;
            inbox.heartbeats.clear();
        }
    }

    /// The broker loses a ring, acknowledged packets included. With `anew` it also numbers from the
    /// start, as one does that has lost its whole disk; its reader notices and begins again.
    pub(super) fn forget(&mut self, lane: Lane, anew: bool) {
        if let Some(inbox) = self.lanes.get_mut(&lane) {
            inbox.first = if anew { 0 } else { inbox.first + inbox.ring.len() as u64 };
            inbox.ring.clear();
            inbox.cursor = inbox.first;
        }
    }

    /// Keeps a copy of a ring, as a backup of the broker's disk does.
    pub(super) fn copy(&mut self, lane: Lane) {
        if let Some(inbox) = self.lanes.get_mut(&lane) {
            inbox.copy = Some((inbox.ring.clone(), inbox.first));
        }
    }

    /// The broker's disk goes back to the copy; the reader has to begin again.
    pub(super) fn roll_back(&mut self, lane: Lane) {
        if let Some(inbox) = self.lanes.get_mut(&lane)
            && let Some((ring, first)) = inbox.copy.clone()
        {
            (inbox.ring, inbox.first, inbox.cursor) = (ring, first, first);
        }
    }

    /// Nothing passes on a lane for a while.
    pub(super) fn cut(&mut self, lane: Lane, until: Timestamp) {
        self.lanes.entry(lane).or_default().cut_until = until;
    }

    /// The weather clears and partitions end.
    pub(super) fn heal(&mut self) {
        self.weather = Weather::default();
        for inbox in self.lanes.values_mut() {
            inbox.cut_until = Timestamp(0);
        }
    }
}

/// Changes a byte, or cuts off the end.
fn spoil(mut packet: Packet, rng: &mut Rng) -> Packet {
    let part = if packet.body.is_empty() || rng.chance(500) { &mut packet.header } else { &mut packet.body };
    let at = rng.index(part.len());
    if rng.chance(300) {
        part.truncate(at);
    } else if let Some(byte) = part.get_mut(at) {
        *byte ^= 1 << rng.below(8);
    }
    packet
}
