//! Bodies on their way: counted towards the host, scrubbed towards the program, never kept whole.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, Empty, combinators::UnsyncBoxBody};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::{
    sync::OwnedSemaphorePermit,
    task::JoinHandle,
    time::{Instant, Sleep, sleep},
};

use super::{
    care::{self, OnValue},
    ledger::Entry,
    masks::Masks,
    refusal, scrub,
};
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
    count: Arc<AtomicU64>,
}

impl<B> Counted<B> {
    pub(super) fn new(inner: B, count: Arc<AtomicU64>) -> Self {
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
                    self.count.fetch_add(data.len() as u64, Ordering::Relaxed);
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

/// An answer's body with every value taken out, or ended at the first, its trailers too. What it gives out is as long as
/// what it takes in. Holds back no more than the beginning of a value. The request's record is written when it ends.
pub(super) struct Scrubbed {
    inner: Body,
    work: Work,
    on_value: OnValue,
    idle: Pin<Box<Sleep>>,
    pause: Pause,
    /// What was read before the head was sent.
    ahead: VecDeque<Got>,
    /// The room that it takes, where that is much.
    room: Option<OwnedSemaphorePermit>,
    trailers: Option<HeaderMap>,
    masks: Masks,
    /// Values that were found.
    found: u64,
    entry: Entry,
    sent: Arc<AtomicU64>,
}

/// A piece of a body.
type Got = Result<Frame<Bytes>, BoxError>;

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

/// How much of a body is read before its head is sent.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    pub bytes: usize,
    /// What each piece of it is counted beside its bytes.
    pub a_piece: usize,
    pub time: Duration,
}

/// Whether a body was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    ToItsEnd,
    InPart,
}

/// Why a body ends before its end: a value is in it, and can't be taken out.
#[derive(Debug, thiserror::Error)]
#[error("{}", refusal::HOLDS_VALUE.message)]
pub(super) struct HoldsValue;

impl Scrubbed {
    pub(super) fn new(
        inner: Body,
        entry: Entry,
        sent: Arc<AtomicU64>,
        masks: Masks,
        on_value: OnValue,
    ) -> Self {
        Self {
            inner,
            work: Work::Rests(Box::new(masks.needles.scrubber())),
            on_value,
            idle: Box::pin(sleep(SILENCE)),
            pause: Pause::Wait,
            ahead: VecDeque::new(),
            room: None,
            trailers: None,
            masks,
            found: 0,
            entry,
            sent,
        }
    }

    /// How many values were found so far, in headers, too.
    pub(super) fn found(&mut self) -> u64 {
        self.entry.record().scrubs + self.found
    }

    /// Keeps room for what is read ahead, until that has gone on its way.
    pub(super) fn takes(&mut self, room: OwnedSemaphorePermit) {
        self.room = Some(room);
    }

    pub(super) fn entry(&mut self) -> &mut Entry {
        &mut self.entry
    }

    /// Reads so much before the head is sent, which can still say what was found, or something else.
    ///
    /// # Errors
    /// [`HoldsValue`]: nothing of the body may be passed on.
    pub(super) async fn look_ahead(&mut self, ahead: Ahead) -> Result<Read, HoldsValue> {
        let end = sleep(ahead.time);
        tokio::pin!(end);
        let mut length = 0;
        while length < ahead.bytes {
            let frame = tokio::select! {
                frame = poll_fn(|cx| self.poll_more(cx)) => frame,
                () = &mut end => return Ok(Read::InPart),
            };
            match frame {
                None => return Ok(Read::ToItsEnd),
                Some(Err(error)) if error.is::<HoldsValue>() => return Err(HoldsValue),
                Some(Err(error)) => {
                    self.ahead.push_back(Err(error));
                    return Ok(Read::InPart);
                }
                Some(Ok(frame)) => {
                    length += frame.data_ref().map_or(0, Bytes::len) + ahead.a_piece;
                    self.ahead.push_back(Ok(frame));
                }
            }
        }
        Ok(Read::InPart)
    }

    /// Passes other bytes on than were read: the same answer as it came.
    pub(super) fn instead(&mut self, bytes: Bytes) {
        let trailers = self.ahead.pop_back().filter(|last| last.as_ref().is_ok_and(Frame::is_trailers));
        self.entry.record().received = bytes.len() as u64;
        self.ahead = [Ok(Frame::data(bytes))].into_iter().chain(trailers).collect();
    }

    /// Passes on what a redactor gave out, unless it found what can't be taken out.
    fn settle(&mut self, redactor: Redactor, out: Vec<u8>) -> Result<Vec<u8>, HoldsValue> {
        let counts = redactor.counts();
        // Compressed data in which a byte is another is no compressed data any more.
        let inside = counts.0.contains_key("compressed");
        let new = counts.total() - self.found;
        self.found = counts.total();
        self.work = Work::Rests(Box::new(redactor));
        if new == 0 || (self.on_value != OnValue::Refuse && !inside) {
            return Ok(out);
        }
        self.pause = Pause::Over;
        self.entry.record().refused = Some(refusal::HOLDS_VALUE.code);
        Err(HoldsValue)
    }

    fn pass(&mut self, out: Vec<u8>) -> Poll<Option<Got>> {
        self.entry.record().received += out.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(out.into()))))
    }

    /// The last bytes, if any are held; then the trailers.
    fn end(&mut self, trailers: Option<HeaderMap>) -> Poll<Option<Got>> {
        self.pause = Pause::Over;
        let mut out = Vec::new();
        if let Work::Rests(mut redactor) = std::mem::replace(&mut self.work, Work::Broke) {
            redactor.finish(&mut out);
            match self.settle(*redactor, out) {
                Ok(settled) => out = settled,
                Err(refused) => return Poll::Ready(Some(Err(refused.into()))),
            }
        }
        let vouched = trailers.iter().flat_map(HeaderMap::keys).any(|name| care::vouches(name.as_str()));
        if vouched && self.found > 0 {
            self.entry.record().refused = Some(refusal::HOLDS_VALUE.code);
            return Poll::Ready(Some(Err(HoldsValue.into())));
        }
        self.trailers = trailers.map(|trailers| scrub::headers(&self.masks, trailers, &mut self.entry));
        if out.is_empty() {
            return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
        }
        self.pass(out)
    }

    fn silence(&mut self, cx: &mut Context<'_>) -> Poll<Option<Got>> {
        if self.pause != Pause::Flush {
            return Poll::Pending;
        }
        ready!(self.idle.as_mut().poll(cx));
        self.pause = Pause::Wait;
        let Work::Rests(mut redactor) = std::mem::replace(&mut self.work, Work::Broke) else {
            return Poll::Pending;
        };
        let mut out = Vec::new();
        redactor.flush_idle(&mut out);
        match self.settle(*redactor, out) {
            Err(refused) => Poll::Ready(Some(Err(refused.into()))),
            Ok(out) if out.is_empty() => Poll::Pending,
            Ok(out) => self.pass(out),
        }
    }

    /// Waits for what a thread was given, if any was: what may be passed on of it.
    fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<u8>, BoxError>> {
        let Work::Goes(handle) = &mut self.work else { return Poll::Ready(Ok(Vec::new())) };
        let (redactor, out) = match ready!(Pin::new(handle).poll(cx)) {
            Ok(done) => done,
            Err(failed) => {
                (self.work, self.pause) = (Work::Broke, Pause::Over);
                return Poll::Ready(Err(failed.into()));
            }
        };
        self.pause = Pause::Flush;
        self.idle.as_mut().reset(Instant::now() + SILENCE);
        Poll::Ready(self.settle(redactor, out).map_err(Into::into))
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Got>> {
        loop {
            if self.pause == Pause::Over {
                return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
            }
            match ready!(self.poll_work(cx)) {
                Ok(out) if out.is_empty() => {}
                Ok(out) => return self.pass(out),
                Err(error) => return Poll::Ready(Some(Err(error))),
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
            if self.on_value == OnValue::TakeOutOfText && care::is_binary(&data) {
                self.on_value = OnValue::Refuse;
            }
            if let Work::Rests(redactor) = std::mem::replace(&mut self.work, Work::Broke) {
                self.work = Work::Goes(scrub_away(*redactor, data));
            }
        }
    }
}

impl HttpBody for Scrubbed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Got>> {
        match self.ahead.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => {
                self.room = None;
                self.poll_more(cx)
            }
        }
    }
}

impl Drop for Scrubbed {
    fn drop(&mut self) {
        let sent = self.sent.load(Ordering::Relaxed);
        let record = self.entry.record();
        record.scrubs += self.found;
        record.sent = sent;
    }
}
