//! What the fuzz targets of this room are given: its readers of foreign bytes, without a network around them.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::runtime::Runtime;
use tokio_util::io::StreamReader;
use zeroize::Zeroizing;

use super::{
    EgressError, ProxyTerms,
    authority::HostPort,
    body::BoxError,
    decode,
    run::{Run, Shared},
    websocket,
};
use crate::{policy::EgressAllowlist, redact::Needles};

/// A host and port, as a client's request names them.
pub fn authority(text: &str, default_port: Option<u16>) -> Option<(String, u16)> {
    HostPort::parse(text, default_port).map(|authority| (authority.host, authority.port))
}

/// A run's proxy that listens nowhere.
pub struct Proxy {
    run: Shared,
    runtime: Runtime,
}

impl Proxy {
    /// Takes out of answers what is known.
    ///
    /// # Errors
    /// [`EgressError`].
    pub fn new(known: Vec<Needles>) -> Result<Self, EgressError> {
        let lifetime = Duration::from_secs(3600);
        let run =
            Run::new(ProxyTerms { sealed: Vec::new(), reach: EgressAllowlist::default(), known, lifetime })?;
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(EgressError::Listen)?;
        Ok(Self { run: Arc::new(run), runtime })
    }

    /// What a program gets of the frames that a host sends, which come in such chunks.
    pub fn to_program(&self, chunks: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        // How it ends, by the end of the frames or by a frame that is none, makes no difference to what went before.
        let _ = self.runtime.block_on(websocket::downstream(
            &self.run,
            StreamReader::new(chunked(chunks)),
            &mut out,
            &websocket::Tally::default(),
        ));
        out
    }

    /// What a host gets of the frames that a program sends, with a value for a placeholder in its texts.
    pub fn to_host(&self, replaced: Option<(&str, &[u8])>, chunks: &[&[u8]]) -> Vec<u8> {
        let value =
            |(placeholder, value): (&str, &[u8])| (placeholder.to_owned(), Zeroizing::new(value.to_vec()));
        let mut out = Vec::new();
        let _ = self.runtime.block_on(websocket::upstream(
            &self.run,
            &replaced.map(value).into_iter().collect(),
            StreamReader::new(chunked(chunks)),
            &mut out,
            &websocket::Tally::default(),
        ));
        out
    }

    /// The first bytes of a body, `most` or some more, without the codings that a header names, and whether that was
    /// all of it; nothing where the header names a coding that isn't known, or too many.
    pub fn decoded(&self, codings: &str, chunks: &[&[u8]], most: usize) -> Option<Decoded> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_str(codings).ok()?);
        let encodings = decode::encodings(&headers)?;
        Some(self.runtime.block_on(async {
            let frames = tokio_stream::StreamExt::map(chunked(chunks), |data| {
                data.map(Frame::data).map_err(BoxError::from)
            });
            let mut body = decode::identity(&self.run, StreamBody::new(frames).boxed_unsync(), &encodings);
            let mut found = Decoded { bytes: Vec::new(), longest: 0, ended: Ended::Early };
            while found.bytes.len() <= most {
                let Some(frame) = body.frame().await else {
                    found.ended = Ended::Whole;
                    break;
                };
                let Ok(data) = frame.map(|frame| frame.into_data().unwrap_or_default()) else {
                    found.ended = Ended::Broken;
                    break;
                };
                found.longest = found.longest.max(data.len());
                found.bytes.extend_from_slice(&data);
            }
            found
        }))
    }
}

/// What came of a body.
pub struct Decoded {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The longest piece of them.
    pub longest: usize,
    /// Why there are no more.
    pub ended: Ended,
}

/// Why no more bytes came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// There are none.
    Whole,
    /// What follows is no coding of anything.
    Broken,
    /// More were not asked for.
    Early,
}

fn chunked(chunks: &[&[u8]]) -> tokio_stream::Iter<std::vec::IntoIter<io::Result<Bytes>>> {
    tokio_stream::iter(chunks.iter().map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect::<Vec<_>>())
}
