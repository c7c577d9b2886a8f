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
    body::{BoxError, Scrubbed},
    care::OnValue,
    decode,
    ledger::Entry,
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
        let (run, _) =
            Run::new(ProxyTerms { sealed: Vec::new(), reach: EgressAllowlist::default(), known, lifetime })?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(EgressError::Listen)?;
        Ok(Self { run: Arc::new(run), runtime })
    }

    /// What a program gets of an answer of such a type whose body comes in such chunks.
    pub fn passed(&self, content_type: &str, chunks: &[&[u8]]) -> Passed {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(content_type).expect("a type"));
        let frames = tokio_stream::StreamExt::map(chunked(chunks), |data| {
            data.map(Frame::data).map_err(BoxError::from)
        });
        let entry = Entry::new(&self.run.ledger, String::new(), "GET");
        let body = StreamBody::new(frames).boxed_unsync();
        let (sent, masks) = (Arc::default(), self.run.masks.clone());
        let mut passed = Passed { bytes: Vec::new(), found: 0, ended: Ended::Whole };
        self.runtime.block_on(async {
            let mut body = Scrubbed::new(body, entry, sent, masks, OnValue::of(&headers));
            while let Some(frame) = body.frame().await {
                match frame {
                    Ok(frame) => passed.bytes.extend_from_slice(&frame.into_data().unwrap_or_default()),
                    Err(_) => passed.ended = Ended::Broken,
                }
            }
            passed.found = body.found();
        });
        passed
    }

    /// What a program gets of a message that a host sends, however it is cut into frames.
    pub fn scrubbed(&self, message: &[u8]) -> Vec<u8> {
        let (mut redactor, mut clean) = (self.run.masks.needles.scrubber(), Vec::new());
        redactor.push(message, &mut clean);
        redactor.finish(&mut clean);
        clean
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

/// What a program got of an answer.
pub struct Passed {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How many values were found in it.
    pub found: u64,
    /// Whether it came to its end.
    pub ended: Ended,
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

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use proptest::prelude::*;

    use super::*;
    use crate::{names::SecretName, value::SecretValue};

    const VALUE: &str = "tk-live-9fQ2xLw7Vb4NcT8mZr1KpY6hJd3GsA5e";

    static PROXY: LazyLock<Proxy> = LazyLock::new(|| {
        let name = SecretName::parse("a/key").unwrap();
        Proxy::new(vec![Needles::of(&name, &SecretValue::new(VALUE.as_bytes().to_vec()))]).unwrap()
    });

    /// What answers are made of: what has the shape of a secret, what looks compressed, and anything.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let gzip = |text: Vec<u8>| {
            let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
            out.extend(miniz_oxide::deflate::compress_to_vec(&text, 6));
            out
        };
        prop_oneof![
            2 => prop::collection::vec(any::<u8>(), 0..64),
            2 => "[ -~\\n]{0,64}".prop_map(String::into_bytes),
            1 => Just(b"postgres://dev:hunter2pass@localhost:5432/dev".to_vec()),
            1 => Just(b"git+https://user:token@github.com/a/b.git#v1 oci://name:tag@sha256:00ff".to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(gzip),
            1 => Just(VALUE.as_bytes()[..7].to_vec()),
        ]
    }

    fn cut<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
        let (mut chunks, mut rest) = (Vec::new(), bytes);
        for cut in cuts {
            let (chunk, later) = rest.split_at((*cut).min(rest.len()));
            chunks.push(chunk);
            rest = later;
        }
        chunks.push(rest);
        chunks
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

        #[test]
        fn an_answer_without_a_value_passes_byte_for_byte(
            pieces in prop::collection::vec(piece(), 0..12),
            cuts in prop::collection::vec(0usize..200, 0..6),
            kind in prop::sample::select(vec!["text/plain", "application/grpc", "application/octet-stream"]),
        ) {
            let bytes = pieces.concat();
            let passed = PROXY.passed(kind, &cut(&bytes, &cuts));
            prop_assert_eq!((passed.found, passed.ended), (0, Ended::Whole));
            prop_assert!(passed.bytes == bytes);
        }

        #[test]
        fn of_an_answer_with_a_value_the_length_stays_or_it_ends(
            before in prop::collection::vec(piece(), 0..4),
            after in prop::collection::vec(piece(), 0..4),
            cuts in prop::collection::vec(0usize..200, 0..6),
            form in prop::sample::select(vec![VALUE.to_owned(), hex::encode(VALUE), STANDARD.encode(VALUE)]),
        ) {
            let (before, after) = (before.concat(), after.concat());
            let bytes = [before.as_slice(), form.as_bytes(), after.as_slice()].concat();
            let passed = PROXY.passed("text/plain", &cut(&bytes, &cuts));
            prop_assert!(passed.found > 0);
            prop_assert_eq!(passed.bytes.len(), bytes.len());
            prop_assert!(memchr::memmem::find(&passed.bytes, form.as_bytes()).is_none());
            let refused = PROXY.passed("application/octet-stream", &cut(&bytes, &cuts));
            prop_assert_eq!(refused.ended, Ended::Broken);
            prop_assert!(bytes.starts_with(&refused.bytes) && refused.bytes.len() <= before.len());
        }
    }

    #[test]
    fn a_value_inside_of_compressed_data_ends_an_answer_of_any_type() {
        let answer = |document: &str| [gzip_of(document.as_bytes()).as_slice(), b"\n"].concat();
        let long = answer(&format!("{{\"key\": \"{VALUE}\", \"list\": [{}0]}}", "1, ".repeat(100)));
        let passed = PROXY.passed("text/plain", &[&long]);
        assert_eq!((passed.ended, passed.found), (Ended::Broken, 1));
        // What is too short to be compressed stands there as it is, and is taken out like any other text.
        let short = answer(&format!("{{\"key\": \"{VALUE}\"}}"));
        let passed = PROXY.passed("text/plain", &[&short]);
        assert_eq!((passed.ended, passed.found, passed.bytes.len()), (Ended::Whole, 1, short.len()));
        assert!(memchr::memmem::find(&passed.bytes, VALUE.as_bytes()).is_none());
        assert_eq!(PROXY.passed("application/gzip", &[&short]).ended, Ended::Broken);
    }

    fn gzip_of(text: &[u8]) -> Vec<u8> {
        let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
        out.extend(miniz_oxide::deflate::compress_to_vec(text, 6));
        out.extend_from_slice(&[0; 8]);
        out
    }
}
