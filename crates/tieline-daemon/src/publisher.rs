//! What leaves over one connection: frames of consecutive positions, and heartbeats.
//!
//! A frame is built from the log and the publish rules of the moment, sealed, and handed to the
//! broker while the connection's sending lock is held, so that a narrowed rule can be waited for.

use bytes::Bytes;
use tieline_bus::seal::seal_frame;
use tieline_core::Seq;
use tieline_core::frame::BodyWriter;
use tieline_core::link::Run;
use tieline_core::outbox::{self, PublishRules};

use crate::clock::now;
use crate::connection::{Line, with_connection};

impl Line {
    /// Sends what is durable while the window has room, and a heartbeat if one is due.
    pub(crate) async fn send_all(&mut self, durable: Seq) {
        if tokio::time::Instant::now() < self.send_not_before || !self.org.broker().connected {
            return;
        }
        let sending = self.org.shared.sending(self.id);
        let _sending = sending.lock().await;
        while let Some((run, rules)) = self.next_run(durable) {
            if !self.send_run(&run, &rules).await {
                self.pause();
                return;
            }
        }
        if self.link.heartbeat_at() <= now() {
            self.send_heartbeat().await;
        }
    }

    fn next_run(&self, durable: Seq) -> Option<(Run, PublishRules)> {
        let (id, link) = (self.id, &self.link);
        let run = self.org.peek(|state| {
            with_connection(state, id, |org, connection| {
                if !link.fits(org, connection) {
                    return None;
                }
                let run = link.next_run(connection, durable)?;
                Some((run, connection.publish.clone()))
            })
        });
        run.flatten()
    }

    /// Sends as much of a run as fits one frame; whether the broker took it.
    async fn send_run(&mut self, run: &Run, rules: &PublishRules) -> bool {
        let seqs: Vec<Seq> = run.entries.iter().map(|entry| entry.seq).collect();
        let mut writer = BodyWriter::with_room_for(run.entries.len());
        let (id, mut position) = (self.id, run.first);
        let read = self.org.shared.tail.events(&seqs, |seq, time, event| {
            let fits = writer.push_with(seq, time, |body| outbox::write(event, id, position, rules, body));
            position = position.next();
            fits
        });
        if let Err(error) = read {
            tracing::error!(connection = %id, error = &error as &dyn std::error::Error,
                "events for the partner cannot be read: verify the log with `tieline log verify`");
            return false;
        }
        let count = writer.count();
        let last = tieline_core::Position(run.first.0 + u64::from(count) - 1);
        let Some(sealed) = self.seal(Some((run, count)), &writer.finish()).await else { return false };
        let bytes = sealed.len();
        match self.org.shared.bus.publish_frame(&self.partner, id, sealed).await {
            Ok(ack) => {
                self.link.note_sent(last, bytes, now());
                self.org.observer().frame_sent(id, bytes);
                // The broker's word proves nothing: it is only written down.
                tokio::spawn(async move {
                    if let Err(error) = ack.outcome().await {
                        tracing::debug!(connection = %id, code = error.code(), "the broker did not confirm a frame");
                    }
                });
                true
            }
            Err(error) => {
                tracing::debug!(connection = %id, %error, "the broker did not take a frame");
                false
            }
        }
    }

    async fn send_heartbeat(&mut self) {
        let Some(sealed) = self.seal(None, &[]).await else { return };
        let bytes = sealed.len();
        match self.org.shared.bus.heartbeat(&self.partner, self.id, sealed).await {
            Ok(()) => self.org.observer().frame_sent(self.id, bytes),
            Err(error) => {
                tracing::debug!(connection = %self.id, %error, "the broker did not take a heartbeat");
                self.pause();
            }
        }
    }

    /// The sealed frame with the present header. That the connection was paused or deactivated is durable
    /// before it is said: else a crash could leave the partner with what nobody here knows of.
    async fn seal(&mut self, run: Option<(&Run, u32)>, body: &[u8]) -> Option<Bytes> {
        let (id, link, key) = (self.id, &mut self.link, self.keys.sealing.id());
        let header = self.org.peek(|state| {
            with_connection(state, id, |org, connection| link.header(org, connection, run, now()))
        });
        let mut header = header??;
        header.key = key;
        let said = (header.pause.rev, header.deactivated);
        if said != self.said {
            self.org.read(|_| ()).await;
            self.said = said;
        }
        match seal_frame(&self.keys.sealing, &header.encode(), body) {
            Ok(sealed) => Some(Bytes::from(sealed)),
            Err(error) => {
                tracing::error!(connection = %id, %error, "a frame could not be sealed");
                None
            }
        }
    }
}
