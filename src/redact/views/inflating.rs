//! One piece of what may be compressed data: what it becomes.

use std::sync::Arc;

use miniz_oxide::{
    MZError, MZFlush, MZStatus,
    inflate::stream::{InflateState, inflate},
};

use super::{
    Hit,
    budget::Budget,
    head::{Block, Head},
    stream::Extent,
    unpacked::Unpacked,
    writing::{Decoder, Read, Writing},
};
use crate::redact::tables::Tables;

/// Bytes of the stream that one piece of compressed data may take.
const LONGEST: u64 = 64 * 1024;
/// Bytes that it may become.
const MOST_INFLATED: usize = 1024 * 1024;
/// Inflated bytes are looked through so many at a time, and so many are taken in at a time.
const BATCH: usize = 4096;
/// Of a batch, so many at a time: one full of needles costs a match each, and the first decides.
const PART: usize = 512;

/// A piece that is inflated.
pub(super) struct Try {
    pub(super) extent: Extent,
    decoder: Decoder,
    format: &'static str,
    block: Block,
    /// Bytes of the header that are yet to come.
    header: usize,
    stage: Stage,
    state: Box<InflateState>,
    inflated: usize,
    batch: Vec<u8>,
    inner: Unpacked,
}

/// How far into its format the data is.
enum Stage {
    Body,
    /// Bytes of the checksum that are yet to come.
    Trailer(usize),
}

/// Whether the data goes on behind what was taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    GoesOn,
    Over,
    /// It may, and is not followed.
    GivenUp,
}

impl Try {
    /// Begins where a head does, with the state of nothing.
    pub(super) fn new(tables: &Arc<Tables>, head: &Head, state: Box<InflateState>) -> Self {
        Self {
            extent: Extent::at(head.extent.start),
            decoder: Decoder::new(head.writing()),
            format: head.format(),
            block: head.block(),
            header: head.header_length(),
            stage: Stage::Body,
            state,
            inflated: 0,
            batch: Vec::new(),
            inner: Unpacked::new(Arc::clone(tables)),
        }
    }

    pub(super) fn format(&self) -> &'static str {
        self.format
    }

    /// The less, the sooner it is given up: what only stores bytes is easily made up; then the oldest.
    pub(super) fn promise(&self) -> impl Ord + use<> {
        (self.block, self.extent.start)
    }

    pub(super) fn take(&mut self, part: &[u8], budget: &mut Budget) -> Data {
        let left = usize::try_from(LONGEST - self.extent.length()).unwrap_or(usize::MAX);
        let within = &part[..part.len().min(left)];
        let mut at = 0;
        while at < within.len() {
            let (bytes, ends, foreign) = self.decode(&within[at..]);
            let (taken, data) = self.feed(&bytes, budget);
            let whole = taken == bytes.len() && data == Data::GoesOn;
            let length = if whole { ends.all } else { ends.behind(taken) };
            self.extent.upto += length as u64;
            at += length;
            if data != Data::GoesOn {
                return data;
            }
            if foreign {
                return Data::Over;
            }
        }
        if within.len() < part.len() { Data::GivenUp } else { Data::GoesOn }
    }

    /// The next characters as bytes, where each byte's last character stands, and whether a character that is
    /// none follows.
    fn decode(&mut self, part: &[u8]) -> (Vec<u8>, Ends, bool) {
        let part = &part[..part.len().min(BATCH)];
        let mut bytes = Vec::with_capacity(part.len());
        if self.decoder.writing == Writing::Plain {
            bytes.extend_from_slice(part);
            return (bytes, Ends { all: part.len(), each: Vec::new() }, false);
        }
        let mut each = Vec::with_capacity(part.len());
        for (at, character) in part.iter().enumerate() {
            match self.decoder.read(*character) {
                Read::Byte(byte) => {
                    bytes.push(byte);
                    each.push(at + 1);
                }
                Read::Nothing => {}
                Read::Foreign => return (bytes, Ends { all: at, each }, true),
            }
        }
        (bytes, Ends { all: part.len(), each }, false)
    }

    /// Takes bytes in; says how many belong to the data.
    fn feed(&mut self, bytes: &[u8], budget: &mut Budget) -> (usize, Data) {
        let mut at = self.header.min(bytes.len());
        self.header -= at;
        while at < bytes.len() {
            let (taken, data) = match &mut self.stage {
                Stage::Body => self.inflate(&bytes[at..], budget),
                Stage::Trailer(left) => {
                    let taken = (*left).min(bytes.len() - at);
                    *left -= taken;
                    (taken, if *left == 0 { Data::Over } else { Data::GoesOn })
                }
            };
            at += taken;
            if data != Data::GoesOn {
                return (at, data);
            }
            if taken == 0 && matches!(self.stage, Stage::Body) {
                break;
            }
        }
        (bytes.len(), Data::GoesOn)
    }

    fn inflate(&mut self, mut input: &[u8], budget: &mut Budget) -> (usize, Data) {
        let length = input.len();
        let mut output = [0; BATCH];
        loop {
            let done = inflate(&mut self.state, input, &mut output, MZFlush::None);
            input = &input[done.bytes_consumed.min(input.len())..];
            let taken = length - input.len();
            self.batch.extend_from_slice(&output[..done.bytes_written]);
            self.inflated += done.bytes_written;
            budget.spend(done.bytes_written);
            if self.batch.len() >= BATCH {
                self.look(budget);
            }
            if self.inflated > MOST_INFLATED || budget.is_used_up() {
                return (taken, Data::GivenUp);
            }
            match done.status {
                Ok(MZStatus::StreamEnd) => {
                    self.stage = Stage::Trailer(if self.format == "zlib" { 4 } else { 8 });
                    return (taken, Data::GoesOn);
                }
                Ok(_) if done.bytes_written == output.len() => {}
                Ok(_) if !input.is_empty() && done.bytes_consumed + done.bytes_written > 0 => {}
                Ok(_) | Err(MZError::Buf) => return (taken, Data::GoesOn),
                Err(_) => return (taken, Data::Over),
            }
        }
    }

    /// Looks for needles in what was inflated: the first one decides.
    fn look(&mut self, budget: &mut Budget) {
        for part in self.batch.chunks(PART) {
            if self.inner.first_label().is_some() {
                break;
            }
            budget.spend(self.inner.push(part));
        }
        self.batch.clear();
    }

    /// Masks everything that was read, if there is a needle in it; leaves the state to the next.
    pub(super) fn close(mut self, budget: &mut Budget, hit: &mut impl FnMut(Hit)) -> Box<InflateState> {
        self.look(budget);
        self.inner.finish();
        if let Some(label) = self.inner.first_label() {
            hit(Hit { start: self.extent.start, end: self.extent.upto, label, kind: Some("compressed") });
        }
        self.state
    }
}

/// Where the characters of decoded bytes end.
struct Ends {
    all: usize,
    /// Of each byte; none where every character is one.
    each: Vec<usize>,
}

impl Ends {
    fn behind(&self, bytes: usize) -> usize {
        match (bytes, self.each.as_slice()) {
            (bytes, []) => bytes,
            (0, _) => 0,
            (bytes, each) => each[bytes - 1],
        }
    }
}
