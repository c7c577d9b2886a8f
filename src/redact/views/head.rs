//! The head of what may be compressed data, until it is plausible: a header and the beginning of what it stands for.
//!
//! A program can write a beginning at every second byte, and a name that never ends behind it: each byte is looked
//! at once by each head, whatever the header is made of.

use super::{
    beginnings::Beginning,
    block::{OPENING, judge},
    budget::Budget,
    format::{Body, Check, Format, LONGEST_OPENING, Method, Opening},
    header::{Header, Whole},
    stream::Extent,
    writing::{Decoder, Read, Writing},
};

/// A beginning of which it isn't known yet whether it is one.
pub(super) struct Head {
    pub(super) extent: Extent,
    pub(super) format: &'static Format,
    /// Where its first whole character stands.
    pub(super) begins: u64,
    /// The decoder as it was at the beginning.
    pub(super) first: Decoder,
    decoder: Decoder,
    sign: Sign,
}

/// What is looked at, as far as it was read.
enum Sign {
    /// A header, and what stands behind it.
    Deflated(Header, [u8; OPENING], usize),
    Opening([u8; LONGEST_OPENING], usize),
}

/// What a head is.
pub(super) enum Verdict {
    Waiting,
    No,
    /// It is data of its format, for which there is no reader.
    Unreadable,
    Plausible(Body),
}

impl Head {
    pub(super) fn new(start: u64, beginning: Beginning) -> Self {
        let Beginning { format, decoder, before } = beginning;
        let sign = match format.check {
            Check::Deflated => Sign::Deflated(Header::new(), [0; OPENING], 0),
            Check::Opening(_) => Sign::Opening([0; LONGEST_OPENING], 0),
        };
        let extent = Extent { start: start - before, upto: start };
        Self { extent, format, begins: start, first: decoder, decoder, sign }
    }

    pub(super) fn writing(&self) -> Writing {
        self.decoder.writing
    }

    pub(super) fn take(&mut self, part: &[u8], budget: &mut Budget) -> Verdict {
        let from = self.extent.upto;
        let verdict = self.read(part);
        budget.judge(self.extent.upto - from);
        verdict
    }

    fn read(&mut self, mut part: &[u8]) -> Verdict {
        while let Some((character, rest)) = part.split_first() {
            let skipped = self.skip(part);
            if skipped > 0 {
                self.extent.upto += skipped as u64;
                part = &part[skipped..];
                continue;
            }
            let read = self.decoder.read(*character);
            part = rest;
            self.extent.upto += u64::from(!matches!(read, Read::Foreign));
            let verdict = match read {
                Read::Foreign => Verdict::No,
                Read::Nothing => Verdict::Waiting,
                Read::Byte(byte) => self.judge(byte),
            };
            if !matches!(verdict, Verdict::Waiting) {
                return verdict;
            }
        }
        Verdict::Waiting
    }

    /// Steps over bytes that only have to be there; says how many.
    fn skip(&mut self, part: &[u8]) -> usize {
        match &mut self.sign {
            Sign::Deflated(header, ..) if self.decoder.writing == Writing::Plain => header.skip(part),
            _ => 0,
        }
    }

    /// Header and what follows: what isn't sure after a few bytes of both is not looked at any further.
    fn judge(&mut self, byte: u8) -> Verdict {
        match &mut self.sign {
            Sign::Deflated(header, opening, opened) => deflated(self.format, header, opening, opened, byte),
            Sign::Opening(bytes, length) => {
                let Some(place) = bytes.get_mut(*length) else { return Verdict::No };
                *place = byte;
                *length += 1;
                match self.format.check {
                    Check::Opening(judge) => match judge(&bytes[..*length]) {
                        Opening::Waiting => Verdict::Waiting,
                        Opening::No => Verdict::No,
                        Opening::Unreadable => Verdict::Unreadable,
                        Opening::Data(body) => Verdict::Plausible(body),
                    },
                    Check::Deflated => Verdict::No,
                }
            }
        }
    }
}

fn deflated(
    format: &Format,
    header: &mut Header,
    opening: &mut [u8; OPENING],
    opened: &mut usize,
    byte: u8,
) -> Verdict {
    match header.is_whole() {
        None => {
            header.take(byte);
            return match header.is_whole() {
                Some(Whole::No) => Verdict::No,
                Some(Whole::TooLong) => Verdict::Unreadable,
                Some(Whole::Yes) | None => Verdict::Waiting,
            };
        }
        Some(Whole::No | Whole::TooLong) => return Verdict::No,
        Some(Whole::Yes) => {}
    }
    let Some(place) = opening.get_mut(*opened) else { return Verdict::No };
    *place = byte;
    *opened += 1;
    match judge(&opening[..*opened]) {
        None => Verdict::Waiting,
        Some((_, false)) => Verdict::No,
        Some((block, true)) => Verdict::Plausible(Body {
            method: Method::Deflate,
            header: header.length,
            trailer: format.trailer,
            promise: block,
        }),
    }
}
