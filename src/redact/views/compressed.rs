//! Compressed data: gzip (RFC 1952) and zlib (RFC 1950), as it stands, in base64 and in hex. It is inflated
//! as it comes and looked through; where it holds a needle, all of it is masked.
//!
//! Speculative, and bounded: data of more than 64 KiB, or that becomes more than 1 MiB, is not looked at any
//! further, so that neither a bomb nor a stream that never ends holds anything up.

use std::sync::Arc;

use aho_corasick::packed::{Config, MatchKind, Searcher};
use miniz_oxide::{
    DataFormat, MZFlush, MZStatus,
    inflate::stream::{InflateState, inflate},
};

use super::{Hit, Stream};
use crate::redact::{
    needles::Tables,
    stream::{Reach, Redactor},
    window::Window,
};

/// Bytes of the stream that one piece of compressed data may take.
const LONGEST: u64 = 64 * 1024;
/// Bytes that it may become.
const MOST_INFLATED: usize = 1024 * 1024;
/// How many beginnings are followed at a time.
const MOST_TRIES: usize = 8;
/// The longest of the beginnings.
const LONGEST_BEGINNING: u64 = 6;
/// A longer header is none.
const LONGEST_HEADER: usize = 1024;
/// Inflated bytes are looked through so many at a time.
const BATCH: usize = 4096;

/// How compressed data begins: gzip's magic number and method, and zlib's header at each level.
const BEGINNINGS: [(&[u8], Writing); 26] = [
    (b"\x1f\x8b\x08", Writing::Plain),
    (b"x\x01", Writing::Plain),
    (b"x\x9c", Writing::Plain),
    (b"x\xda", Writing::Plain),
    (b"H4sI", Writing::Base64),
    (b"eAE", Writing::Base64),
    (b"eAF", Writing::Base64),
    (b"eAG", Writing::Base64),
    (b"eAH", Writing::Base64),
    (b"eF4", Writing::Base64),
    (b"eF5", Writing::Base64),
    (b"eF6", Writing::Base64),
    (b"eF7", Writing::Base64),
    (b"eJw", Writing::Base64),
    (b"eJx", Writing::Base64),
    (b"eJy", Writing::Base64),
    (b"eJz", Writing::Base64),
    (b"eNo", Writing::Base64),
    (b"eNp", Writing::Base64),
    (b"eNq", Writing::Base64),
    (b"eNr", Writing::Base64),
    (b"1f8b08", Writing::Hex),
    (b"1F8B08", Writing::Hex),
    (b"789c", Writing::Hex),
    (b"78da", Writing::Hex),
    (b"7801", Writing::Hex),
];

/// How the data is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writing {
    Plain,
    Base64,
    Hex,
}

/// The finder of beginnings.
pub(in crate::redact) struct Beginnings(Option<Searcher>);

impl Beginnings {
    pub(in crate::redact) fn new() -> Self {
        let mut config = Config::new();
        config.match_kind(MatchKind::LeftmostFirst);
        Self(config.builder().extend(BEGINNINGS.iter().map(|(bytes, _)| *bytes)).build())
    }

    /// Where data may begin in a text, and how it is written: all places, also those within each other.
    fn all<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (usize, usize, Writing)> + 'a {
        let mut from = 0;
        std::iter::from_fn(move || {
            let found = self.0.as_ref()?.find_in(text, (from..text.len()).into())?;
            from = found.start() + 1;
            Some((found.start(), found.end(), BEGINNINGS[found.pattern().as_usize()].1))
        })
    }
}

/// Follows compressed data.
#[derive(Default)]
pub(in crate::redact) struct Compressed {
    tries: Vec<Try>,
}

/// One piece of what may be compressed data.
struct Try {
    start: u64,
    /// How far it was read.
    read: u64,
    writing: Writing,
    /// Bits of base64 or hex that don't make a byte yet, and their number.
    bits: u32,
    count: u32,
    stage: Stage,
    /// The length of the checksums behind the data.
    trailer: usize,
    state: Box<InflateState>,
    inflated: usize,
    batch: Vec<u8>,
    inner: Redactor,
}

/// How far into its format the data is.
enum Stage {
    /// The bytes of the header so far.
    Header(Vec<u8>),
    Body,
    /// Bytes of the checksum that are yet to come.
    Trailer(usize),
}

/// Whether the data goes on behind a byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Data {
    GoesOn,
    Over,
}

impl Compressed {
    /// Takes in what the window has from an offset on.
    pub(in crate::redact) fn take(
        &mut self,
        tables: &Arc<Tables>,
        window: &Window,
        offset: u64,
        hit: &mut impl FnMut(Hit),
    ) {
        let from = offset.saturating_sub(LONGEST_BEGINNING).max(window.base());
        let text = window.between(from, window.end());
        for (start, end, writing) in tables.beginnings().all(text) {
            let new = from + end as u64 > offset;
            let before = window.between((from + start as u64).saturating_sub(1), from + start as u64);
            if !new || before.iter().any(|byte| writing.digit(*byte).is_some() && writing != Writing::Plain) {
                continue;
            }
            // Nothing is known of a beginning before its last byte: whatever came until then comes first.
            self.advance(window, from + end as u64, hit);
            if self.tries.len() < MOST_TRIES {
                self.tries.push(Try::new(tables, from + start as u64, writing));
            }
        }
        self.advance(window, window.end(), hit);
    }

    /// The offset from which on the stream may still be masked.
    pub(in crate::redact) fn earliest(&self, window: &Window) -> Option<u64> {
        let end = window.end();
        let begun = (1..LONGEST_BEGINNING).rev().filter_map(|length| end.checked_sub(length)).find(|at| {
            let last = window.between(*at, end);
            !last.is_empty()
                && BEGINNINGS.iter().any(|(bytes, _)| bytes.len() > last.len() && bytes.starts_with(last))
        });
        self.earliest_at_a_pause().into_iter().chain(begun).min()
    }

    /// The same at a pause: what may be the beginning of compressed data, but isn't yet, is shown.
    pub(in crate::redact) fn earliest_at_a_pause(&self) -> Option<u64> {
        self.tries.iter().map(|one| one.start).min()
    }

    /// Ends the stream.
    pub(in crate::redact) fn end(&mut self, stream: Stream, hit: &mut impl FnMut(Hit)) {
        if stream == Stream::Ended {
            self.tries.drain(..).for_each(|one| one.close(hit));
        }
    }

    fn advance(&mut self, window: &Window, upto: u64, hit: &mut impl FnMut(Hit)) {
        for mut one in std::mem::take(&mut self.tries) {
            match one.take(window.between(one.read, upto)) {
                Data::GoesOn => self.tries.push(one),
                Data::Over => one.close(hit),
            }
        }
    }
}

impl Writing {
    /// What a character stands for, if it is one of the writing's.
    fn digit(self, byte: u8) -> Option<u32> {
        let value = match (self, byte) {
            (Self::Plain, _) => byte,
            (Self::Hex, b'0'..=b'9') => byte - b'0',
            (Self::Hex, b'a'..=b'f' | b'A'..=b'F') => (byte | 0x20) - b'a' + 10,
            (Self::Base64, b'A'..=b'Z') => byte - b'A',
            (Self::Base64, b'a'..=b'z') => byte - b'a' + 26,
            (Self::Base64, b'0'..=b'9') => byte - b'0' + 52,
            (Self::Base64, b'+' | b'-') => 62,
            (Self::Base64, b'/' | b'_') => 63,
            _ => return None,
        };
        Some(u32::from(value))
    }

    fn bits(self) -> u32 {
        match self {
            Self::Plain => 8,
            Self::Hex => 4,
            Self::Base64 => 6,
        }
    }
}

impl Try {
    fn new(tables: &Arc<Tables>, start: u64, writing: Writing) -> Self {
        Self {
            start,
            read: start,
            writing,
            bits: 0,
            count: 0,
            stage: Stage::Header(Vec::new()),
            trailer: 0,
            state: InflateState::new_boxed(DataFormat::Raw),
            inflated: 0,
            batch: Vec::new(),
            inner: Redactor::new(Arc::clone(tables), Reach::Inner),
        }
    }

    fn take(&mut self, part: &[u8]) -> Data {
        for &byte in part {
            if self.read - self.start >= LONGEST {
                return Data::Over;
            }
            match self.writing.digit(byte) {
                Some(digit) => {
                    self.read += 1;
                    if self.digit(digit) == Data::Over {
                        return Data::Over;
                    }
                }
                None if matches!(byte, b'\r' | b'\n') => self.read += 1,
                None => return Data::Over,
            }
        }
        Data::GoesOn
    }

    fn digit(&mut self, digit: u32) -> Data {
        self.bits = self.bits << self.writing.bits() | digit;
        self.count += self.writing.bits();
        if self.count < 8 {
            return Data::GoesOn;
        }
        self.count -= 8;
        let [.., byte] = (self.bits >> self.count).to_be_bytes();
        self.bits &= (1 << self.count) - 1;
        self.byte(byte)
    }

    fn byte(&mut self, byte: u8) -> Data {
        match &mut self.stage {
            Stage::Header(header) => {
                header.push(byte);
                self.trailer = if header[0] == b'x' { 4 } else { 8 };
                match header_length(header) {
                    Some(length) if length == header.len() => self.stage = Stage::Body,
                    _ if header.len() >= LONGEST_HEADER => return Data::Over,
                    _ => {}
                }
                Data::GoesOn
            }
            Stage::Body => self.inflate(byte),
            Stage::Trailer(0..=1) => Data::Over,
            Stage::Trailer(left) => {
                *left -= 1;
                Data::GoesOn
            }
        }
    }

    fn inflate(&mut self, byte: u8) -> Data {
        let mut input: &[u8] = &[byte];
        let mut output = [0; BATCH];
        loop {
            let done = inflate(&mut self.state, input, &mut output, MZFlush::None);
            input = &input[done.bytes_consumed.min(input.len())..];
            self.batch.extend_from_slice(&output[..done.bytes_written]);
            self.inflated += done.bytes_written;
            if self.batch.len() >= BATCH {
                self.look();
            }
            if self.inflated > MOST_INFLATED {
                return Data::Over;
            }
            match done.status {
                Ok(MZStatus::StreamEnd) => {
                    self.stage = Stage::Trailer(self.trailer);
                    return Data::GoesOn;
                }
                Ok(_) if done.bytes_written == output.len() || !input.is_empty() => {}
                Ok(_) | Err(miniz_oxide::MZError::Buf) => return Data::GoesOn,
                Err(_) => return Data::Over,
            }
        }
    }

    /// Looks for needles in what was inflated.
    fn look(&mut self) {
        let mut masked = Vec::new();
        self.inner.push(&self.batch, &mut masked);
        self.batch.clear();
    }

    /// Masks everything that was read, if there is a needle in it.
    fn close(mut self, hit: &mut impl FnMut(Hit)) {
        self.look();
        self.inner.finish(&mut Vec::new());
        if let Some(label) = self.inner.first_label() {
            hit(Hit { start: self.start, end: self.read, label, kind: Some("compressed") });
        }
    }
}

/// The length of a header, once enough of it is there to know.
fn header_length(header: &[u8]) -> Option<usize> {
    if header.first() == Some(&b'x') {
        return Some(2);
    }
    let flags = *header.get(3)?;
    let mut length = 10;
    if flags & 4 != 0 {
        length += 2 + usize::from(u16::from_le_bytes([*header.get(10)?, *header.get(11)?]));
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            length += 1 + header.get(length..)?.iter().position(|byte| *byte == 0)?;
        }
    }
    Some(length + if flags & 2 != 0 { 2 } else { 0 })
}
