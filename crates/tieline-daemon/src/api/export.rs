//! The whole log as one stream, while the org goes on working (OPS-08).
//!
//! The stream ends with the head that was durable when it began. It is verified as it is read; if a
//! block is broken, or the daemon stops, the stream breaks off before its end, which whoever reads
//! it notices. It holds everything that the org knows, so only administrators get it.

use std::io::{self, BufWriter, Write};

use axum::body::Body;
use axum::extract::State as Extract;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use tieline_core::state::State;
use tokio::sync::mpsc;

use super::Api;
use super::auth::Actor;
use super::problem::{ErrorCode, Problem};

/// Bytes of one piece of the stream.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that are read ahead of a slow client.
const PIECES_AHEAD: usize = 4;
/// Most exports at the same time: each has a thread of its own until its client has taken all.
pub(super) const EXPORTS_MAX: usize = 4;

/// Hands what is written to the answer of a request, and waits while the client is slow.
struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the client has gone away");
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Exports the whole log up to what is durable now, for `tieline log import`.
#[utoipa::path(get, path = "/v1/log/export", tag = "log",
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>)))]
pub(crate) async fn export(Extract(api): Extract<Api>, _actor: Actor) -> Result<Response, Problem> {
    let Ok(turn) = api.exporting.clone().try_acquire_owned() else {
        let detail =
            format!("{EXPORTS_MAX} exports of the log are under way: try again when one of them is done");
        return Err(Problem::new(ErrorCode::Overloaded, detail));
    };
    let (pieces, taken) = mpsc::channel(PIECES_AHEAD);
    let log = api.org.log();
    // It ends by itself: when all was taken, or when the receiver is dropped.
    drop(tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let failed = pieces.clone();
        if let Err(error) = log.export(BufWriter::with_capacity(PIECE_BYTES, Pieces(pieces))) {
            tracing::warn!(error = &error as &dyn std::error::Error, "an export of the log broke off");
            // A client that is still there sees a stream that breaks off.
            failed.blocking_send(Err(io::Error::other(error))).ok();
        }
    }));
    let stopping = api.stopping.clone();
    let stream = stream::unfold(taken, move |mut taken| {
        let stopping = stopping.clone();
        async move {
            let piece = tokio::select! {
                piece = taken.recv() => piece?,
                () = stopping.cancelled() => Err(io::Error::other("the daemon is stopping")),
            };
            Some((piece, taken))
        }
    });
    let name = api.org.peek(file_name);
    let headers = [(CONTENT_TYPE, "application/octet-stream".to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(stream)).into_response())
}

fn file_name(state: &State) -> String {
    let org = state.org.as_ref().map_or("org", |org| org.name.as_str());
    format!("attachment; filename=\"{org}.log\"")
}
