//! One piece of what may be compressed data: what it becomes.

use super::{
    Hit,
    budget::Shared,
    codec::Codec,
    format::{Body, Format, Found, Method},
    head::Head,
    sink::{Progress, Sink},
    stream::Extent,
    unpacked::Unpacked,
    writing::{Decoder, Read, Writing},
};

/// Of a piece so much is held back, and masked when there is a needle in it: the last of what was read, in which
/// the needle stands.
const HELD: u64 = 64 * 1024;
/// Where a mask begins is counted in so many bytes, so that it is the same however the stream comes in chunks.
const GRID: u64 = 4096;

/// A piece that is unpacked.
pub(super) struct Try {
    pub(super) extent: Extent,
    pub(super) format: &'static Format,
    decoder: Decoder,
    body: Body,
    /// Bytes of the header that are yet to come.
    header: usize,
    stage: Stage,
    codec: Codec,
    inner: Unpacked,
    /// Where the mask begins, if there is a needle.
    masked_from: Option<u64>,
}

/// How far into its format the data is.
#[derive(Clone, Copy)]
enum Stage {
    Body,
    /// Bytes behind the data that are yet to come.
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
    pub(super) fn new(head: &Head, body: Body, inner: Unpacked, shared: &mut Shared) -> Self {
        let codec = Codec::new(body.method, shared);
        shared.live += 1;
        shared.large += usize::from(codec.is_large());
        let start = head.extent.start;
        Self {
            extent: Extent { start, upto: head.begins },
            format: head.format,
            decoder: head.first,
            body,
            header: body.header,
            stage: Stage::Body,
            codec,
            inner,
            masked_from: None,
        }
    }

    pub(super) fn is_an_archive_in_a_writing(&self) -> bool {
        self.body.method == Method::Stored && self.format.found == Found::Everywhere
    }

    pub(super) fn is_large(&self) -> bool {
        self.codec.is_large()
    }

    /// The less, the sooner it is given up: what only stores bytes is easily made up; then the oldest.
    pub(super) fn promise(&self) -> impl Ord + use<> {
        (self.masked_from.is_some(), self.body.promise, self.extent.start)
    }

    /// The offset from which on the stream may still be masked.
    pub(super) fn earliest(&self) -> u64 {
        match self.masked_from {
            // The mask grows from its end on.
            Some(_) if self.inner.label().is_some() => self.extent.upto.saturating_sub(1),
            Some(from) => from,
            None => self.mask_if_found_at(self.extent.upto + 1),
        }
    }

    /// Where the mask begins if a needle is found with the byte before an offset.
    fn mask_if_found_at(&self, upto: u64) -> u64 {
        let read = (upto - self.extent.start).next_multiple_of(GRID);
        self.extent.start + read.saturating_sub(HELD)
    }

    pub(super) fn take(&mut self, part: &[u8], shared: &mut Shared) -> Data {
        let mut at = 0;
        while at < part.len() {
            let to_the_grid = GRID - self.extent.length() % GRID;
            let step = usize::try_from(to_the_grid).unwrap_or(usize::MAX).min(part.len() - at);
            let (length, data) = self.step(&part[at..at + step], shared);
            self.extent.upto += length as u64;
            at += length;
            if self.masked_from.is_none() && self.inner.has_found() {
                self.masked_from = Some(self.mask_if_found_at(self.extent.upto));
            }
            if data != Data::GoesOn {
                return data;
            }
            if !self.codec.follows(self.extent.length()) {
                return Data::GivenUp;
            }
        }
        Data::GoesOn
    }

    /// Takes characters in; says how many belong to the data.
    fn step(&mut self, part: &[u8], shared: &mut Shared) -> (usize, Data) {
        let (bytes, ends, foreign) = self.decode(part);
        let (taken, data) = self.feed(&bytes, shared);
        let whole = taken == bytes.len() && data == Data::GoesOn;
        let length = if whole { ends.all } else { ends.behind(taken) };
        (length, if whole && foreign { Data::Over } else { data })
    }

    /// The next characters as bytes, where each byte's last character stands, and whether a character that is
    /// none follows.
    fn decode(&mut self, part: &[u8]) -> (Vec<u8>, Ends, bool) {
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
    fn feed(&mut self, bytes: &[u8], shared: &mut Shared) -> (usize, Data) {
        let mut at = self.header.min(bytes.len());
        self.header -= at;
        while at < bytes.len() {
            let (taken, data) = match self.stage {
                Stage::Body => self.unpack(&bytes[at..], shared),
                Stage::Trailer(left) => {
                    let taken = left.min(bytes.len() - at);
                    self.stage = Stage::Trailer(left - taken);
                    (taken, if left == taken { Data::Over } else { Data::GoesOn })
                }
            };
            at += taken;
            if data != Data::GoesOn {
                return (at, data);
            }
        }
        (at, Data::GoesOn)
    }

    fn unpack(&mut self, bytes: &[u8], shared: &mut Shared) -> (usize, Data) {
        let cost = self.codec.cost();
        let (taken, progress) = self.codec.feed(bytes, &mut Sink { inner: &mut self.inner, shared, cost });
        let data = match progress {
            Progress::More => Data::GoesOn,
            Progress::End if self.body.trailer == 0 => Data::Over,
            Progress::End => {
                self.stage = Stage::Trailer(self.body.trailer);
                Data::GoesOn
            }
            Progress::Bad => Data::Over,
            Progress::Stopped => Data::GivenUp,
        };
        (taken, data)
    }

    /// What of it is masked so far.
    pub(super) fn mask(&self) -> Option<Hit> {
        let start = self.masked_from?;
        let label = self.inner.label()?;
        Some(Hit { start, end: self.extent.upto, label, kind: Some("compressed") })
    }

    /// Ends it: what was held back is looked through.
    pub(super) fn close(mut self, shared: &mut Shared, hit: &mut dyn FnMut(Hit)) {
        let cost = self.codec.cost();
        self.codec.close(&mut Sink { inner: &mut self.inner, shared, cost });
        self.inner.finish(shared);
        if self.inner.label().is_some() && self.masked_from.is_none() {
            self.masked_from = Some(self.mask_if_found_at(self.extent.upto));
        }
        if let Some(mask) = self.mask() {
            hit(mask);
        }
        shared.live -= 1;
        shared.large -= usize::from(self.codec.is_large());
        self.codec.give_back(shared);
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
