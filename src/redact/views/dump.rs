//! Dumps: lines that begin with an offset or a number and may end with a column of characters. Only what
//! stands between is read, from line to line.
//!
//! ```text
//! 00000010: 6563 7265 74              ecret          xxd
//! 00000010  65 63 72 65 74           |ecret|         hexdump -C
//! 0000020   e   c   r   e   t                        od -c; od -b and od -tx1 alike
//!      2    e                                        cat -n, nl; grep -n has a colon
//! ```

use memchr::memchr;

use super::{Hit, Reading, SqueezedIndex, Stream};
use crate::redact::window::Window;

/// How many bytes may stand between two symbols of one needle: a column of characters, a line's end, the next
/// offset.
const APART: u32 = 160;
/// An offset has at least so many digits; fewer number a line.
const OFFSET_DIGITS: u32 = 6;
/// More digits are no offset.
const MOST_DIGITS: u32 = 16;
/// A column of characters is no longer than this.
const LONGEST_COLUMN: u64 = 160;

/// The bodies of dump lines.
pub(in crate::redact) struct Dump {
    reading: Reading,
    line: Line,
    /// Lines with a column of characters: where they begin and end.
    columns: Vec<(u64, u64)>,
    /// Matches that end in a line whose column isn't complete.
    waiting: Vec<Hit>,
    began: u64,
}

/// What is known of the line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Digits so far, whether any is a letter, and spaces before.
    Start {
        digits: u32,
        letters: bool,
        spaces: u32,
    },
    /// Behind an offset and its colon: `xxd`.
    Colon,
    Body {
        layout: Layout,
        spaces: u32,
    },
    Column {
        since: u64,
    },
    Other,
}

/// Where the body of a line ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// At two spaces.
    Xxd,
    /// At a bar or an angle bracket behind two spaces, or more than three: with three, it is a character
    /// of `od -c`.
    Barred,
    /// At its end.
    Numbered,
}

const START: Line = Line::Start { digits: 0, letters: false, spaces: 0 };

impl Dump {
    pub(in crate::redact) fn new() -> Self {
        Self { reading: Reading::new(APART), line: START, columns: Vec::new(), waiting: Vec::new(), began: 0 }
    }

    /// Takes a part in, which stands at an offset of the stream.
    pub(in crate::redact) fn take(&mut self, part: &[u8], offset: u64) {
        let mut at = 0;
        while at < part.len() {
            let place = offset + at as u64;
            if self.line == Line::Other {
                at = memchr(b'\n', &part[at..]).map_or(part.len(), |length| at + length);
                if at < part.len() {
                    self.line = START;
                    self.began = offset + at as u64 + 1;
                    at += 1;
                }
                continue;
            }
            let byte = part[at];
            let before = self.line;
            self.line = before.behind(byte, place);
            if let (Line::Body { .. }, Line::Body { .. }) = (before, self.line) {
                self.reading.take(&part[at..=at], place);
            }
            let column = matches!(before, Line::Column { .. });
            if column && !matches!(self.line, Line::Column { .. }) {
                self.columns.push((self.began, place));
            }
            if self.line == START && byte == b'\n' {
                self.began = place + 1;
            }
            at += 1;
        }
    }

    pub(in crate::redact) fn search(
        &mut self,
        wanted: &SqueezedIndex,
        window: &Window,
        stream: Stream,
        hit: &mut impl FnMut(Hit),
    ) {
        let mut found = std::mem::take(&mut self.waiting);
        self.reading.search(wanted, window, stream, &mut |one| found.push(one));
        for mut one in found {
            let column = self.columns.iter().find(|(from, to)| (*from..*to).contains(&(one.end - 1)));
            if let Some((_, end)) = column {
                one.end = *end;
                hit(one);
            } else if stream == Stream::Ended
                && matches!(self.line, Line::Column { .. })
                && one.end > self.began
            {
                one.end = window.end();
                hit(one);
            } else if stream == Stream::GoesOn && self.line.has_column() && one.end > self.began {
                self.waiting.push(one);
            } else {
                hit(one);
            }
        }
        let first = self.waiting.iter().map(|one| one.start).min().unwrap_or(window.end());
        let still = self.earliest(wanted, window, 0).unwrap_or(first).min(first);
        self.columns.retain(|(_, end)| *end > still);
    }

    pub(in crate::redact) fn earliest(
        &self,
        wanted: &SqueezedIndex,
        window: &Window,
        longer_than: usize,
    ) -> Option<u64> {
        let waiting = self.waiting.iter().map(|one| one.start).min();
        [waiting, self.reading.earliest(wanted, window, longer_than)].into_iter().flatten().min()
    }

    pub(in crate::redact) fn forget(&mut self, wanted: &SqueezedIndex) {
        self.reading.forget(wanted);
    }
}

impl Line {
    fn has_column(self) -> bool {
        matches!(self, Self::Body { layout: Layout::Xxd | Layout::Barred, .. } | Self::Column { .. })
    }

    fn behind(self, byte: u8, place: u64) -> Self {
        match (self, byte) {
            (_, b'\n') => START,
            (Self::Start { digits: 0, letters, spaces: spaces @ ..8 }, b' ') => {
                Self::Start { digits: 0, letters, spaces: spaces + 1 }
            }
            (Self::Start { digits: digits @ ..MOST_DIGITS, letters, spaces }, byte)
                if byte.is_ascii_hexdigit() =>
            {
                Self::Start { digits: digits + 1, letters: letters || !byte.is_ascii_digit(), spaces }
            }
            (Self::Start { digits, letters, .. }, byte) => numbered(digits, letters, byte),
            (Self::Colon, b' ') => Self::Body { layout: Layout::Xxd, spaces: 1 },
            (Self::Body { layout: Layout::Xxd, spaces: 1.. }, b' ') => Self::Column { since: place },
            (Self::Body { layout: Layout::Barred, spaces: 2 | 4.. }, b'|' | b'>') => {
                Self::Column { since: place }
            }
            (Self::Body { layout, spaces }, b' ') => Self::Body { layout, spaces: spaces.saturating_add(1) },
            (Self::Body { layout, .. }, _) => Self::Body { layout, spaces: 0 },
            (Self::Column { since }, _) if place - since < LONGEST_COLUMN => self,
            _ => Self::Other,
        }
    }
}

/// What a line is that begins with so many digits and goes on with this byte.
fn numbered(digits: u32, letters: bool, byte: u8) -> Line {
    match byte {
        b':' if digits >= OFFSET_DIGITS => Line::Colon,
        b' ' if digits >= OFFSET_DIGITS => Line::Body { layout: Layout::Barred, spaces: 1 },
        b':' | b'\t' | b' ' if digits > 0 && !letters => Line::Body { layout: Layout::Numbered, spaces: 1 },
        _ => Line::Other,
    }
}
