//! Bodies on their way: counted towards the host, scrubbed towards the program, never kept whole.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, Empty, combinators::UnsyncBoxBody};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::{
    task::JoinHandle,
    time::{Instant, Sleep, sleep},
};

use super::{ledger::Entry, masks::Masks, scrub};
use crate::redact::Redactor;

/// What goes wrong with a body on its way.
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// Any body.
pub(super) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// After so much silence of the host what is held back is passed on: an event must not wait for the next.
const SILENCE: Duration = Duration::from_millis(20);

/// A request's body: its trailers end here, and its bytes are counted.
pub(super) struct Counted<B> {
    inner: B,
    count: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl<B> Counted<B> {
    pub(super) fn new(inner: B, count: std::sync::Arc<std::sync::atomic::AtomicU64>) -> Self {
        Self { inner, count }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Counted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        Poll::Ready(match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    self.count.fetch_add(data.len() as u64, std::sync::atomic::Ordering::Relaxed);
                    Some(Ok(Frame::data(data)))
                }
                Err(_) => None,
            },
            other => other,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A redactor at rest, or at work away from the tasks that serve: what a host sends is as hostile as what a
/// program writes.
enum Work {
    Rests(Box<Redactor>),
    Goes(JoinHandle<(Redactor, Vec<u8>)>),
    Broke,
}

/// Takes bytes in on a thread that serves nobody.
pub(super) fn scrub_away(mut redactor: Redactor, data: Bytes) -> JoinHandle<(Redactor, Vec<u8>)> {
    tokio::task::spawn_blocking(move || {
        let mut out = Vec::with_capacity(data.len());
        redactor.push(&data, &mut out);
        (redactor, out)
    })
}

pub(super) fn nothing() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// An answer's body with every value taken out, its trailers too. Holds back no more than the beginning of a
/// value. The request's record is written when it ends.
pub(super) struct Scrubbed {
    inner: Body,
    work: Work,
    idle: Pin<Box<Sleep>>,
    pause: Pause,
    trailers: Option<HeaderMap>,
    masks: Masks,
    entry: Entry,
    sent: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

/// What is done at the next silence.
#[derive(PartialEq, Eq)]
enum Pause {
    /// What is held back is passed on.
    Flush,
    /// Nothing: it has been.
    Wait,
    /// Nothing any more: the body has ended.
    Over,
}

impl Scrubbed {
    pub(super) fn new(
        inner: Body,
        entry: Entry,
        sent: std::sync::Arc<std::sync::atomic::AtomicU64>,
        masks: Masks,
    ) -> Self {
        Self {
            inner,
            work: Work::Rests(Box::new(masks.needles.redactor())),
            idle: Box::pin(sleep(SILENCE)),
            pause: Pause::Wait,
            trailers: None,
            masks,
            entry,
            sent,
        }
    }

    fn data(&mut self, out: Vec<u8>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.entry.record().received += out.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(out.into()))))
    }

    /// The last bytes, if any are held; then the trailers.
    fn end(&mut self, trailers: Option<HeaderMap>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.pause = Pause::Over;
        let mut out = Vec::new();
        if let Work::Rests(redactor) = &mut self.work {
            redactor.finish(&mut out);
        }
        self.trailers = trailers.map(|trailers| scrub::headers(&self.masks, trailers, &mut self.entry));
        if out.is_empty() {
            return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
        }
        self.data(out)
    }

    fn silence(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.pause != Pause::Flush {
            return Poll::Pending;
        }
        ready!(self.idle.as_mut().poll(cx));
        self.pause = Pause::Wait;
        let mut out = Vec::new();
        if let Work::Rests(redactor) = &mut self.work {
            redactor.flush_idle(&mut out);
        }
        if out.is_empty() { Poll::Pending } else { self.data(out) }
    }
}

impl HttpBody for Scrubbed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if self.pause == Pause::Over {
                return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
            }
            if let Work::Goes(handle) = &mut self.work {
                let done = ready!(Pin::new(handle).poll(cx));
                let out = match done {
                    Ok((redactor, out)) => {
                        self.work = Work::Rests(Box::new(redactor));
                        out
                    }
                    Err(failed) => {
                        (self.work, self.pause) = (Work::Broke, Pause::Over);
                        return Poll::Ready(Some(Err(failed.into())));
                    }
                };
                self.pause = Pause::Flush;
                self.idle.as_mut().reset(Instant::now() + SILENCE);
                if !out.is_empty() {
                    return self.data(out);
                }
            }
            let frame = match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Pending => return self.silence(cx),
                Poll::Ready(None) => return self.end(None),
                Poll::Ready(Some(Err(error))) => {
                    self.pause = Pause::Over;
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(Some(Ok(frame))) => frame,
            };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(frame) => return self.end(frame.into_trailers().ok()),
            };
            if let Work::Rests(redactor) = std::mem::replace(&mut self.work, Work::Broke) {
                self.work = Work::Goes(scrub_away(*redactor, data));
            }
        }
    }
}

impl Drop for Scrubbed {
    fn drop(&mut self) {
        // What is under way when a body is given up reaches nobody.
        let scrubs = match &self.work {
            Work::Rests(redactor) => redactor.counts().total(),
            Work::Goes(_) | Work::Broke => 0,
        };
        let sent = self.sent.load(std::sync::atomic::Ordering::Relaxed);
        let record = self.entry.record();
        record.scrubs += scrubs;
        record.sent = sent;
    }
}
