//! Answers that are compressed although no compression was asked for: read here, and passed on as they are.

use std::{io, pin::Pin};

use async_compression::tokio::bufread::{DeflateDecoder, GzipDecoder, ZlibDecoder};
use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::body::Frame;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, BufReader},
    sync::{mpsc, oneshot},
};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tokio_util::io::{ReaderStream, StreamReader};

use super::{
    body::{Body, BoxError},
    brotli::BrotliDecoder,
    run::Shared,
};

/// A coding of content (RFC 9110, section 8.4.1; RFC 7932; RFC 8878).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Codings of one answer at most: more is an attack on whoever decodes.
const MOST: usize = 3;
/// Bytes that a decoder gives at once.
const CHUNK: usize = 16 << 10;
/// The largest window that a zstd frame may ask for, as RFC 8878 recommends (section 3.1.1.1.2).
const ZSTD_WINDOW: u64 = 8 << 20;

/// The codings of a body, in the order in which they were applied; nothing where one isn't known.
pub(super) fn encodings(headers: &HeaderMap) -> Option<Vec<Encoding>> {
    let mut found = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        for word in value.to_str().ok()?.split(',') {
            found.push(match word.trim().to_ascii_lowercase().as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Encoding::Gzip,
                "deflate" => Encoding::Deflate,
                "br" => Encoding::Brotli,
                "zstd" => Encoding::Zstd,
                _ => return None,
            });
        }
    }
    (found.len() <= MOST).then_some(found)
}

type Reader = Pin<Box<dyn AsyncRead + Send>>;

/// A body without its codings. Its trailers come after it, as they did.
pub(super) fn identity(run: &Shared, body: Body, encodings: &[Encoding]) -> Body {
    if encodings.is_empty() {
        return body;
    }
    let (trailers, later) = oneshot::channel();
    let mut trailers = Some(trailers);
    let data = BodyStream::new(body).filter_map(move |frame| match frame.map(Frame::into_data) {
        Ok(Ok(data)) => Some(Ok(data)),
        Ok(Err(frame)) => {
            if let (Ok(found), Some(trailers)) = (frame.into_trailers(), trailers.take()) {
                // Nobody waits for the trailers of a body that was given up.
                let _ = trailers.send(found);
            }
            None
        }
        Err(error) => Some(Err(io::Error::other(error))),
    });
    let mut reader: Reader = Box::pin(StreamReader::new(data));
    for encoding in encodings.iter().rev() {
        reader = decoder(run, *encoding, reader);
    }
    let data =
        ReaderStream::with_capacity(reader, CHUNK).map(|data| data.map(Frame::data).map_err(BoxError::from));
    let end = Trailers(later);
    StreamBody::new(data.chain(end)).boxed_unsync()
}

fn decoder(run: &Shared, encoding: Encoding, from: Reader) -> Reader {
    let buffered = BufReader::with_capacity(CHUNK, from);
    match encoding {
        Encoding::Gzip => {
            let mut decoder = GzipDecoder::new(buffered);
            decoder.multiple_members(true);
            Box::pin(decoder)
        }
        Encoding::Brotli => Box::pin(BrotliDecoder::new(buffered)),
        Encoding::Deflate => lazily(run, buffered),
        Encoding::Zstd => zstd(run, buffered),
    }
}

/// `deflate` means zlib (RFC 9110, section 8.4.1.2), and some servers send it bare.
fn lazily(run: &Shared, mut from: BufReader<Reader>) -> Reader {
    let (give, take) = mpsc::channel(2);
    run.spawn(async move {
        let zlib = matches!(from.fill_buf().await, Ok([first, ..]) if first & 0x0f == 8);
        let reader: Reader =
            if zlib { Box::pin(ZlibDecoder::new(from)) } else { Box::pin(DeflateDecoder::new(from)) };
        pump(ReaderStream::with_capacity(reader, CHUNK), give).await;
    });
    Box::pin(StreamReader::new(ReceiverStream::new(take)))
}

async fn pump(mut from: impl Stream<Item = io::Result<Bytes>> + Unpin, to: mpsc::Sender<io::Result<Bytes>>) {
    loop {
        let next = tokio::select! {
            next = from.next() => next,
            () = to.closed() => return,
        };
        let Some(next) = next else { return };
        if to.send(next).await.is_err() {
            return;
        }
    }
}

/// The decoder for zstd blocks while it reads, and so has a thread to itself.
fn zstd(run: &Shared, from: impl AsyncBufRead + Send + Unpin + 'static) -> Reader {
    let (give, fed) = mpsc::channel(2);
    let (out, take) = mpsc::channel::<io::Result<Bytes>>(2);
    let gone = out.clone();
    run.spawn(async move {
        tokio::select! {
            () = pump(ReaderStream::with_capacity(from, CHUNK), give) => {}
            () = gone.closed() => {}
        }
    });
    tokio::task::spawn_blocking(move || {
        if let Err(error) = unzstd(Fed { chunks: fed, rest: Bytes::new() }, &out) {
            let _ = out.blocking_send(Err(error));
        }
    });
    Box::pin(StreamReader::new(ReceiverStream::new(take)))
}

fn unzstd(mut fed: Fed, out: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    use std::io::Read as _;
    while fed.more()? {
        let decoder = ruzstd::decoding::StreamingDecoder::new_with_max_window_size(&mut fed, ZSTD_WINDOW);
        let mut decoder = decoder.map_err(|error| io::Error::other(error.to_string()))?;
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = decoder.read(&mut chunk)?;
            if length == 0 {
                break;
            }
            if out.blocking_send(Ok(Bytes::copy_from_slice(&chunk[..length]))).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Chunks as a reader that waits for them.
struct Fed {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    rest: Bytes,
}

impl Fed {
    fn more(&mut self) -> io::Result<bool> {
        while self.rest.is_empty() {
            match self.chunks.blocking_recv() {
                None => return Ok(false),
                Some(chunk) => self.rest = chunk?,
            }
        }
        Ok(true)
    }
}

impl io::Read for Fed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.more()? {
            return Ok(0);
        }
        let length = buf.len().min(self.rest.len());
        buf[..length].copy_from_slice(&self.rest.split_to(length));
        Ok(length)
    }
}

/// The trailers, once the data has ended.
struct Trailers(oneshot::Receiver<HeaderMap>);

impl Stream for Trailers {
    type Item = Result<Frame<Bytes>, BoxError>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        // Whoever sends them has done so before the data ended, or never does.
        std::task::Poll::Ready(self.0.try_recv().ok().map(|trailers| Ok(Frame::trailers(trailers))))
    }
}
