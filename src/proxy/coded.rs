//! Answers that a host compressed although it was asked not to: what is in them is read, and they pass on as they came
//! where nothing is. A file that a server sends with a coding (`x.tar.gz`) keeps its digest so.

use std::{mem, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use parking_lot::Mutex;
use tokio_stream::StreamExt;

use super::{
    body::{Ahead, Body},
    care::OnValue,
    decode::{self, Encoding},
    run::Shared,
};

/// The largest answer that is looked into whole before any of it is passed on, in bytes as it came and as it reads:
/// as much as of a request is read at once.
const WHOLE: usize = 8 << 20;
/// What a piece takes beside its bytes, as it reads: a body of pieces of one byte is bounded, too.
const OF_A_PIECE: usize = 128;
/// So much of it is looked through at a time, in bytes: as a host sends it.
const PIECE: usize = 16 << 10;
/// How long events that are compressed wait for their end: then they are passed on as they read, one by one.
const EVENTS_WAIT: Duration = Duration::from_secs(1);
/// What can't be passed on as it reads is waited for as long as a connection to a host may take.
const WAIT: Duration = Duration::from_secs(3600);

/// How much is read of such an answer before any of it is passed on. One that says how long it is comes to its end.
pub(super) fn ahead(on_value: OnValue, headers: &HeaderMap) -> Ahead {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let of_events = kind.trim().to_ascii_lowercase().starts_with("text/event-stream");
    let ends = headers.contains_key(header::CONTENT_LENGTH) && !of_events;
    let time = if on_value == OnValue::Refuse || ends { WAIT } else { EVENTS_WAIT };
    Ahead { bytes: WHOLE, a_piece: OF_A_PIECE, time }
}

/// The bytes of a body as they came.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Came>>);

#[derive(Default)]
enum Came {
    /// So far.
    #[default]
    Nothing,
    Part(BytesMut),
    /// To its end: a reader that stops before leaves bytes that nobody has looked at.
    Whole(Bytes),
    /// Too much, or no longer wanted.
    LetGo,
}

/// A body as it reads, while what came of it is kept.
pub(super) fn readable(run: &Shared, body: Body, encodings: &[Encoding], kept: &Kept) -> Body {
    if encodings.is_empty() {
        return body;
    }
    let (keeping, ended) = (kept.clone(), kept.clone());
    let came = BodyStream::new(body).map(move |frame| {
        if let Some(data) = frame.as_ref().ok().and_then(|frame| frame.data_ref()) {
            keeping.keep(data);
        }
        frame
    });
    let end = tokio_stream::once(()).filter_map(move |()| {
        ended.end();
        None
    });
    decode::identity(run, StreamBody::new(came.chain(end)).boxed_unsync(), encodings)
}

impl Kept {
    fn keep(&self, data: &Bytes) {
        let mut came = self.0.lock();
        let so_far = match mem::take(&mut *came) {
            Came::Nothing => BytesMut::new(),
            Came::Part(bytes) => bytes,
            Came::Whole(_) | Came::LetGo => {
                *came = Came::LetGo;
                return;
            }
        };
        *came = joined(so_far, data);
    }

    fn end(&self) {
        let mut came = self.0.lock();
        *came = match mem::take(&mut *came) {
            Came::Part(bytes) => Came::Whole(bytes.freeze()),
            Came::Nothing | Came::Whole(_) | Came::LetGo => Came::LetGo,
        };
    }

    /// Keeps no more.
    pub(super) fn let_go(&self) {
        *self.0.lock() = Came::LetGo;
    }

    /// All that came, if it came to its end and holds no value where no reader looks: in the name of a gzip file, or in a
    /// frame that is skipped.
    pub(super) async fn clean(&self, run: &Shared) -> Option<Bytes> {
        let Came::Whole(bytes) = mem::replace(&mut *self.0.lock(), Came::LetGo) else { return None };
        let mut scrubber = run.masks.needles.scrubber();
        let looked = tokio::task::spawn_blocking(move || {
            let mut out = Vec::new();
            for piece in bytes.chunks(PIECE) {
                scrubber.push(piece, &mut out);
                out.clear();
            }
            scrubber.finish(&mut out);
            (scrubber.counts().total() == 0).then_some(bytes)
        });
        looked.await.ok().flatten()
    }
}

/// One buffer: pieces of one byte take no more than others.
fn joined(mut so_far: BytesMut, data: &[u8]) -> Came {
    if so_far.len() + data.len() > WHOLE {
        return Came::LetGo;
    }
    so_far.extend_from_slice(data);
    Came::Part(so_far)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_have_no_end_is_not_waited_for() {
        for (kind, length, on_value, time) in [
            ("text/plain", true, OnValue::TakeOut, WAIT),
            ("text/plain", false, OnValue::TakeOut, EVENTS_WAIT),
            ("Text/Event-Stream; charset=utf-8", true, OnValue::TakeOut, EVENTS_WAIT),
            ("application/zip", false, OnValue::Refuse, WAIT),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
            if length {
                headers.insert(header::CONTENT_LENGTH, 5.into());
            }
            assert_eq!(ahead(on_value, &headers).time, time, "{kind}");
        }
    }
}
