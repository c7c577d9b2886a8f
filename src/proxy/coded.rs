//! Answers that a host compressed although it was asked not to: what is in them is read, and they pass on as they came
//! where nothing is. A file that a server sends with a coding (`x.tar.gz`) keeps its digest so.

use std::{mem, sync::Arc, time::Duration};

use bytes::Bytes;
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
/// How long events that are compressed wait for their end: then they are passed on as they read, one by one.
const EVENTS_WAIT: Duration = Duration::from_secs(1);
/// What can't be passed on as it reads is waited for as long as a connection to a host may take.
const WAIT: Duration = Duration::from_secs(3600);

/// How much is read of such an answer before any of it is passed on.
pub(super) fn ahead(on_value: OnValue) -> Ahead {
    let time = if on_value == OnValue::Refuse { WAIT } else { EVENTS_WAIT };
    Ahead { bytes: WHOLE, time }
}

/// The bytes of a body as they came.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Came>>);

#[derive(Default)]
enum Came {
    /// So far.
    #[default]
    Nothing,
    Part(Vec<Bytes>, usize),
    /// To its end: a reader that stops before leaves bytes that nobody has looked at.
    Whole(Vec<Bytes>),
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
        *came = match mem::take(&mut *came) {
            Came::Nothing if data.len() <= WHOLE => Came::Part(vec![data.clone()], data.len()),
            Came::Part(mut chunks, length) if length + data.len() <= WHOLE => {
                chunks.push(data.clone());
                Came::Part(chunks, length + data.len())
            }
            Came::Nothing | Came::Part(..) | Came::Whole(_) | Came::LetGo => Came::LetGo,
        };
    }

    fn end(&self) {
        let mut came = self.0.lock();
        *came = match mem::take(&mut *came) {
            Came::Part(chunks, _) => Came::Whole(chunks),
            Came::Nothing | Came::Whole(_) | Came::LetGo => Came::LetGo,
        };
    }

    /// Keeps no more.
    pub(super) fn let_go(&self) {
        *self.0.lock() = Came::LetGo;
    }

    /// All that came, if it came to its end and holds no value where no reader looks: in the name of a gzip file, or in a
    /// frame that is skipped.
    pub(super) async fn clean(&self, run: &Shared) -> Option<Vec<Bytes>> {
        let Came::Whole(chunks) = mem::replace(&mut *self.0.lock(), Came::LetGo) else { return None };
        let mut scrubber = run.masks.needles.scrubber();
        let looked = tokio::task::spawn_blocking(move || {
            let mut out = Vec::new();
            for chunk in &chunks {
                scrubber.push(chunk, &mut out);
                out.clear();
            }
            scrubber.finish(&mut out);
            (scrubber.counts().total() == 0).then_some(chunks)
        });
        looked.await.ok().flatten()
    }
}
