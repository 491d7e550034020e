//! What arrives over one connection: opened, checked, heard, and handed to the writer.
//!
//! A frame that is no good is refused, counted and logged by its code; the rest goes on.

use tieline_bus::bus::{Arrived, Heartbeat, InboxEvent};
use tieline_bus::seal::split;
use tieline_core::command::Command;
use tieline_core::frame::{FrameHeader, read_body};
use tieline_core::link::Heard;
use tieline_core::message::Envelope;

use crate::clock::now;
use crate::connection::{Line, with_connection};

/// Most things that one header may ask to be logged before it is heard: a welcome, an incarnation
/// of either side, a deactivation, a pause.
const LEARNED_MAX: usize = 6;

impl Line {
    /// Takes what the ring has to say.
    pub(crate) async fn inbox_event(&mut self, event: InboxEvent) {
        match event {
            InboxEvent::Restarted { cause, .. } => {
                tracing::debug!(connection = %self.id, cause = cause.code(), "the ring is read from its start");
                // The partner is told at once what is here: it sends what is missing.
                self.link.say_soon();
            }
            InboxEvent::Arrived(arrived) => self.frame_came(&arrived).await,
        }
    }

    async fn frame_came(&mut self, arrived: &Arrived) {
        let bytes = arrived.bytes.len();
        self.org.observer().frame_received(self.id, bytes);
        let taken = self.open(&arrived.bytes).await;
        match taken {
            Ok(Some((header, messages))) => match self.org.shared.intake.frame(Box::new(header), messages) {
                Ok(taken) => self.taking.push_back(taken),
                Err(error) => tracing::debug!(connection = %self.id, %error, "a frame was not taken"),
            },
            Ok(None) => {}
            Err(code) => self.refuse(code),
        }
    }

    /// Takes a heartbeat: a header without messages. Any org can name any connection in its subject,
    /// so the broker's word about who sent it counts, as it does for a ring.
    pub(crate) async fn heartbeat_came(&mut self, heartbeat: &Heartbeat) {
        self.org.observer().frame_received(self.id, heartbeat.bytes.len());
        if heartbeat.from != self.partner {
            self.refuse("wrong_route");
        } else if let Err(code) = self.open(&heartbeat.bytes).await {
            self.refuse(code);
        }
    }

    /// A frame was thrown away: it is counted and logged by its code.
    pub(crate) fn refuse(&self, code: &'static str) {
        tracing::warn!(connection = %self.id, partner = %self.partner, code, "a frame was refused");
        self.org.observer().frame_refused(self.id, code);
    }

    /// Opens a frame and hears its header. The messages, if there are some to be taken.
    async fn open(
        &mut self,
        frame: &[u8],
    ) -> Result<Option<(FrameHeader, Option<Vec<Envelope>>)>, &'static str> {
        if self.org.space().free_bytes < self.org.shared.space_threshold_bytes {
            // Nothing is taken while the disk is nearly full; the partner sends it again.
            return Err("no_space");
        }
        let sealed = split(frame).map_err(|error| error.code())?;
        let header = FrameHeader::decode(sealed.header).map_err(|error| error.code())?;
        let opening = self.keys.opening(header.key);
        self.unknown_key = opening.is_none();
        let opening = opening.ok_or("unknown_key")?;
        let body = sealed.open(&opening.key).map_err(|error| error.code())?;
        let newer = opening.newer;
        for _ in 0..LEARNED_MAX {
            let heard = self.hear(&header);
            if let (Heard::Go | Heard::Stale, Some(key)) = (&heard, newer) {
                // It is of the partner's present life: the partner has that key now.
                self.learn(Command::ConfirmKey { connection: self.id, key }).await;
            }
            match heard {
                Heard::Go if header.count == 0 || self.is_paused() => return Ok(None),
                Heard::Go => return Ok(Some(messages(header, &body))),
                Heard::Stale => {
                    self.link.say_soon();
                    return Ok(None);
                }
                Heard::Refused(code) => return Err(code),
                Heard::Learn(command) => {
                    if !self.learn(command).await {
                        return Err("not_logged");
                    }
                    self.begin_anew();
                }
            }
        }
        Err("unsettled")
    }

    /// Whether the connection is paused here: frames are left with the partner, which sends them again.
    fn is_paused(&self) -> bool {
        self.org.peek(|state| state.connections.get(&self.id).is_some_and(|c| c.pauses.ours.is_some()))
    }

    fn hear(&mut self, header: &FrameHeader) -> Heard {
        let (id, link) = (self.id, &mut self.link);
        let heard = self.org.peek(|state| {
            with_connection(state, id, |org, connection| link.hear(org, connection, header, now()))
        });
        heard.unwrap_or(Heard::Refused("unknown_connection"))
    }
}

/// The messages of a frame whose seal was right; nothing if its body is not what the header says.
/// Its positions are taken all the same, and each ends malformed.
fn messages(header: FrameHeader, body: &[u8]) -> (FrameHeader, Option<Vec<Envelope>>) {
    match read_body(body, header.count) {
        Ok(messages) => (header, Some(messages)),
        Err(error) => {
            tracing::warn!(connection = %header.connection, %error, "a sealed frame has no readable messages");
            (header, None)
        }
    }
}
