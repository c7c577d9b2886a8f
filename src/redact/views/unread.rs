//! Data of a format that nobody here reads: how much of it there is, is said.

use super::{
    budget::Shared,
    format::Format,
    head::Head,
    stream::Extent,
    writing::{Decoder, Read, Writing},
};
use crate::redact::window::Window;

/// So many pieces at a time are told apart; what comes behind them is part of the last.
const MOST: usize = 4;

/// A piece that is not looked into.
pub(in crate::redact) struct Unread {
    pub(super) format: &'static Format,
    pub(super) extent: Extent,
    decoder: Decoder,
    is_over: bool,
}

impl Unread {
    /// Notes data that begins with a head. What stands as it is goes on to the stream's end: what comes within is a
    /// part of it.
    pub(super) fn note(all: &mut Vec<Self>, head: &Head) {
        if all.len() < MOST && all.iter().all(|one| one.decoder.writing != Writing::Plain) {
            let extent = Extent { start: head.extent.start, upto: head.begins };
            all.push(Self { format: head.format, extent, decoder: head.first, is_over: false });
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn take(&mut self, window: &Window, upto: u64) {
        if self.decoder.writing == Writing::Plain {
            self.extent.upto = self.extent.upto.max(upto);
            return;
        }
        for character in window.between(self.extent.upto, upto.max(self.extent.upto)) {
            if matches!(self.decoder.read(*character), Read::Foreign) {
                self.is_over = true;
                return;
            }
            self.extent.upto += 1;
        }
    }

    pub(super) fn close(self, shared: &mut Shared) {
        shared.give_up(self.format, self.extent.length());
    }
}
