//! One piece of what may be compressed data: its head, until it is plausible, and what it becomes.

use std::sync::Arc;

use miniz_oxide::{
    DataFormat, MZError, MZFlush, MZStatus,
    inflate::stream::{InflateState, inflate},
};

use super::{
    Hit,
    compressed::{Budget, Writing},
};
use crate::redact::{
    needles::Tables,
    stream::{Reach, Redactor},
};

/// Bytes of the stream that one piece of compressed data may take.
const LONGEST: u64 = 64 * 1024;
/// Bytes that it may become.
const MOST_INFLATED: usize = 1024 * 1024;
/// A longer header is none.
const LONGEST_HEADER: usize = 1024;
/// Inflated bytes are looked through so many at a time, and so many are taken in at a time.
const BATCH: usize = 4096;

/// Characters as the bytes that they stand for.
struct Decoder {
    writing: Writing,
    /// Bits that don't make a byte yet, and their number.
    bits: u32,
    count: u32,
}

/// What a character is.
enum Read {
    Byte(u8),
    /// A part of one, or the end of a line.
    Nothing,
    /// None of the writing's.
    Foreign,
}

impl Decoder {
    fn new(writing: Writing) -> Self {
        Self { writing, bits: 0, count: 0 }
    }

    fn read(&mut self, character: u8) -> Read {
        let Some(digit) = self.writing.digit(character) else {
            return if matches!(character, b'\r' | b'\n') { Read::Nothing } else { Read::Foreign };
        };
        self.bits = self.bits << self.writing.bits() | digit;
        self.count += self.writing.bits();
        if self.count < 8 {
            return Read::Nothing;
        }
        self.count -= 8;
        let [.., byte] = (self.bits >> self.count).to_be_bytes();
        self.bits &= (1 << self.count) - 1;
        Read::Byte(byte)
    }
}

/// A beginning of which it isn't known yet whether it is one.
pub(super) struct Head {
    start: u64,
    upto: u64,
    decoder: Decoder,
    bytes: Vec<u8>,
    block: Block,
}

/// How data begins behind its header (RFC 1951, section 3.2.3): later is more of a sign that it is data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Block {
    Stored,
    Fixed,
    Dynamic,
}

/// What a head is.
pub(super) enum Verdict {
    Waiting,
    Plausible,
    No,
}

impl Head {
    pub(super) fn new(start: u64, writing: Writing) -> Self {
        let decoder = Decoder::new(writing);
        Self { start, upto: start, decoder, bytes: Vec::new(), block: Block::Stored }
    }

    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// How far it was read.
    pub(super) fn upto(&self) -> u64 {
        self.upto
    }

    pub(super) fn length(&self) -> u64 {
        self.upto - self.start
    }

    pub(super) fn format(&self) -> &'static str {
        if self.bytes.first() == Some(&b'x') { "zlib" } else { "gzip" }
    }

    pub(super) fn take(&mut self, part: &[u8]) -> Verdict {
        for character in part {
            match self.decoder.read(*character) {
                Read::Foreign => return Verdict::No,
                Read::Nothing => self.upto += 1,
                Read::Byte(byte) => {
                    self.upto += 1;
                    self.bytes.push(byte);
                    match self.judge() {
                        Verdict::Waiting => {}
                        decided => return decided,
                    }
                }
            }
        }
        Verdict::Waiting
    }

    /// Header and first block: whoever isn't sure of both after a few bytes is not looked at any further.
    fn judge(&mut self) -> Verdict {
        if let [cmf @ b'x', flags, ..] = self.bytes[..] {
            // The check of RFC 1950, section 2.2; a dictionary that is not there can't be used.
            if (u32::from(cmf) * 256 + u32::from(flags)) % 31 != 0 || flags & 0x20 != 0 {
                return Verdict::No;
            }
        }
        match header_length(&self.bytes) {
            None if self.bytes.len() < LONGEST_HEADER => Verdict::Waiting,
            None => Verdict::No,
            Some(length) => match self.bytes.get(length..) {
                Some(block) => self.first_block(block.to_vec().as_slice()),
                None => Verdict::Waiting,
            },
        }
    }

    fn first_block(&mut self, block: &[u8]) -> Verdict {
        let Some(first) = block.first() else { return Verdict::Waiting };
        let (kind, fits) = match first >> 1 & 3 {
            0 => (Block::Stored, stored_fits(block)),
            1 => (Block::Fixed, Some(true)),
            2 => (Block::Dynamic, dynamic_fits(block)),
            _ => return Verdict::No,
        };
        self.block = kind;
        match fits {
            None => Verdict::Waiting,
            Some(true) => Verdict::Plausible,
            Some(false) => Verdict::No,
        }
    }
}

/// A length, and the same with every bit turned (section 3.2.4).
fn stored_fits(block: &[u8]) -> Option<bool> {
    let length = [*block.get(1)?, *block.get(2)?];
    Some([!*block.get(3)?, !*block.get(4)?] == length)
}

/// The counts are in their ranges, and the code of the code lengths uses up all codes (section 3.2.7).
fn dynamic_fits(block: &[u8]) -> Option<bool> {
    let bits = |from: usize, count: usize| -> Option<u32> {
        (0..count).try_fold(0, |value, bit| {
            let at = from + bit;
            Some(value | u32::from(block.get(at / 8)? >> (at % 8) & 1) << bit)
        })
    };
    let (literals, distances, lengths) = (bits(3, 5)?, bits(8, 5)?, bits(13, 4)?);
    if literals > 29 || distances > 29 {
        return Some(false);
    }
    let used = (0..lengths as usize + 4).try_fold(0, |used, code| {
        let length = bits(17 + 3 * code, 3)?;
        Some(used + if length == 0 { 0 } else { 128 >> length })
    });
    Some(used? == 128)
}

/// A piece that is inflated.
pub(super) struct Try {
    start: u64,
    upto: u64,
    decoder: Decoder,
    format: &'static str,
    block: Block,
    /// Bytes of the header that are yet to come.
    header: usize,
    stage: Stage,
    state: Box<InflateState>,
    inflated: usize,
    batch: Vec<u8>,
    inner: Redactor,
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
    /// Begins where a head does.
    pub(super) fn new(tables: &Arc<Tables>, head: &Head) -> Self {
        Self {
            start: head.start,
            upto: head.start,
            decoder: Decoder::new(head.decoder.writing),
            format: head.format(),
            block: head.block,
            header: header_length(&head.bytes).unwrap_or_default(),
            stage: Stage::Body,
            state: InflateState::new_boxed(DataFormat::Raw),
            inflated: 0,
            batch: Vec::new(),
            inner: Redactor::new(Arc::clone(tables), Reach::Inner),
        }
    }

    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// How far it was read.
    pub(super) fn upto(&self) -> u64 {
        self.upto
    }

    pub(super) fn length(&self) -> u64 {
        self.upto - self.start
    }

    pub(super) fn format(&self) -> &'static str {
        self.format
    }

    /// The less, the sooner it is given up: what only stores bytes is easily made up; then the oldest.
    pub(super) fn promise(&self) -> impl Ord + use<> {
        (self.block, self.start)
    }

    pub(super) fn take(&mut self, part: &[u8], budget: &mut Budget) -> Data {
        let left = usize::try_from(LONGEST - self.length()).unwrap_or(usize::MAX);
        let within = &part[..part.len().min(left)];
        let mut at = 0;
        while at < within.len() {
            let (bytes, ends, foreign) = self.decode(&within[at..]);
            let (taken, data) = self.feed(&bytes, budget);
            let whole = taken == bytes.len() && data == Data::GoesOn;
            let length = if whole { ends.all } else { ends.behind(taken) };
            self.upto += length as u64;
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
        if self.inner.first_label().is_some() {
            return self.batch.clear();
        }
        let mut masked = Vec::new();
        self.inner.push(&self.batch, &mut masked);
        budget.spend(self.batch.len());
        self.batch.clear();
    }

    /// Masks everything that was read, if there is a needle in it.
    pub(super) fn close(mut self, budget: &mut Budget, hit: &mut impl FnMut(Hit)) {
        self.look(budget);
        self.inner.finish(&mut Vec::new());
        if let Some(label) = self.inner.first_label() {
            hit(Hit { start: self.start, end: self.upto, label, kind: Some("compressed") });
        }
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
