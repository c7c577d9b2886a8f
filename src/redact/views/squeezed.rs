//! The stream without escape sequences, white space, separators and case.

use memchr::memchr;

use super::{Hit, Reading, SqueezedIndex, Stream};
use crate::redact::window::Window;

/// How many bytes may stand between two symbols of one needle: an indented line, a coloured character.
const APART: u32 = 65;
const ESCAPE: u8 = 0x1b;

/// Letters and digits of the stream, case folded.
pub(in crate::redact) struct Squeezed {
    reading: Reading,
    /// What stands in the texts of escape sequences: a terminal hides it, and who reads the stream does not.
    hidden: Reading,
    state: Escape,
}

/// Where in an escape sequence (ECMA-48, section 5.4) the stream is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    Outside,
    Begun,
    /// CSI: up to a final byte.
    Control,
    /// OSC and its kind: up to BEL or ST.
    Text,
    TextEnding,
    /// One more byte: the choice of a character set.
    One,
}

impl Squeezed {
    pub(in crate::redact) fn new() -> Self {
        Self { reading: Reading::new(APART), hidden: Reading::new(APART), state: Escape::Outside }
    }

    /// Begins again, in another text.
    pub(super) fn restart(&mut self) {
        self.reading.restart(0);
        self.hidden.restart(0);
        self.state = Escape::Outside;
    }

    /// Takes a part in, which stands at an offset of the stream.
    pub(in crate::redact) fn take(&mut self, part: &[u8], offset: u64) {
        let mut rest = part;
        let mut at = offset;
        while !rest.is_empty() {
            let length = if self.state == Escape::Outside {
                let length = memchr(ESCAPE, rest).unwrap_or(rest.len());
                self.reading.take(&rest[..length], at);
                if length < rest.len() {
                    self.state = Escape::Begun;
                }
                (length + 1).min(rest.len())
            } else {
                self.state = self.state.behind(rest[0]);
                if self.state == Escape::Text {
                    self.hidden.take(&rest[..1], at);
                }
                1
            };
            rest = &rest[length..];
            at += length as u64;
        }
    }

    pub(in crate::redact) fn search(
        &mut self,
        wanted: &SqueezedIndex,
        window: &Window,
        stream: Stream,
        hit: &mut impl FnMut(Hit),
    ) {
        self.reading.search(wanted, window, stream, hit);
        if self.hides() {
            self.hidden.search(wanted, window, stream, hit);
        }
    }

    pub(in crate::redact) fn earliest(
        &self,
        wanted: &SqueezedIndex,
        window: &Window,
        longer_than: usize,
    ) -> Option<u64> {
        let hidden = self.hides().then(|| self.hidden.earliest(wanted, window, longer_than)).flatten();
        self.reading.earliest(wanted, window, longer_than).into_iter().chain(hidden).min()
    }

    pub(in crate::redact) fn forget(&mut self, wanted: &SqueezedIndex) {
        self.reading.forget(wanted);
        if self.hides() {
            self.hidden.forget(wanted);
        }
    }

    /// Whether there was such a text: few streams have any.
    fn hides(&self) -> bool {
        self.hidden.last_place().is_some()
    }
}

impl Escape {
    fn behind(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Begun, b'[') => Self::Control,
            (Self::Begun, b']' | b'P' | b'X' | b'^' | b'_') => Self::Text,
            (Self::Begun, 0x20..=0x2f) => Self::One,
            (Self::Control, 0x20..=0x3f) => Self::Control,
            (Self::Text, ESCAPE) | (Self::TextEnding, ESCAPE) => Self::TextEnding,
            (Self::TextEnding, b'\\') | (Self::Text, 0x07 | b'\n') => Self::Outside,
            (Self::Text | Self::TextEnding, _) => Self::Text,
            (_, ESCAPE) => Self::Begun,
            _ => Self::Outside,
        }
    }
}
