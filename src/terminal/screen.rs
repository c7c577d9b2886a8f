//! What stands on the screen, as far as a model of one tells: it is searched before anything is shown.

use std::{
    num::NonZeroU16,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{
    piece::Piece,
    window::{LineFeed, Window},
};
use crate::redact::NeedleSet;

/// Rows and columns of the largest screen that is followed.
const MOST: (u16, u16) = (300, 600);

/// A model of the screen, and what must not stand on it.
pub(super) struct Screen {
    needles: NeedleSet,
    model: vt100::Parser,
    window: Window,
    /// How many values stand there, as far as could be told.
    standing: u64,
}

/// What a chunk does to the screen.
enum Shown {
    /// A value came together there.
    Together,
    /// No value stands there that stood not before.
    AsItWas,
}

impl Screen {
    pub(super) fn new(needles: NeedleSet) -> Self {
        Self { needles, model: empty(Window::USUAL), window: Window::USUAL, standing: 0 }
    }

    /// What is shown of these pieces. Where a value would come together on the screen they are shown as plain lines,
    /// without what moves the cursor; and where it would even so, not at all.
    pub(super) fn show(&mut self, pieces: &[Piece], window: Window) -> Vec<u8> {
        if (window.rows, window.columns) != (self.window.rows, self.window.columns) {
            // What terminals make of their text when the size changes differs: begun anew, as if it were empty.
            (self.model, self.standing) = (empty(window), 0);
        }
        self.window = window;
        if pieces.is_empty() || self.needles.is_empty() {
            return written(pieces, LineFeed::Falls);
        }
        let Some(before) = self.model(|model| model.screen().state_formatted()) else {
            return written(pieces, LineFeed::Falls);
        };
        if let Shown::AsItWas = self.try_out(&written(pieces, window.line_feed)) {
            return written(pieces, LineFeed::Falls);
        }
        self.go_back(&before);
        let plain = plain(pieces);
        if let Shown::AsItWas = self.try_out(&plain) {
            return plain;
        }
        self.go_back(&before);
        let instead = b"\r\n[redacted]\r\n".to_vec();
        let _ = self.try_out(&instead);
        instead
    }

    fn try_out(&mut self, bytes: &[u8]) -> Shown {
        let Some(contents) = self.write(bytes) else { return Shown::AsItWas };
        let before = self.standing;
        self.standing = self.count(&contents);
        if self.standing > before { Shown::Together } else { Shown::AsItWas }
    }

    fn go_back(&mut self, before: &str) {
        self.model = empty(self.window);
        self.standing = self.write(before.as_bytes()).map_or(0, |contents| self.count(&contents));
    }

    /// What stands there behind these bytes.
    fn write(&mut self, bytes: &[u8]) -> Option<String> {
        self.model(|model| {
            model.process(bytes);
            model.screen().contents()
        })
    }

    /// The model is another crate's, and what enters is a stranger's: where it breaks, it is begun anew.
    fn model<T>(&mut self, work: impl FnOnce(&mut vt100::Parser) -> T) -> Option<T> {
        let done = catch_unwind(AssertUnwindSafe(|| work(&mut self.model))).ok();
        if done.is_none() {
            (self.model, self.standing) = (empty(self.window), 0);
        }
        done
    }

    fn count(&self, contents: &str) -> u64 {
        self.needles.finds(contents.as_bytes()).total()
    }
}

fn empty(window: Window) -> vt100::Parser {
    let within = |given: u16, usual: u16, most: u16| {
        NonZeroU16::new(given.min(most)).or(NonZeroU16::new(usual)).unwrap_or(NonZeroU16::MIN)
    };
    let rows = within(window.rows, Window::USUAL.rows, MOST.0);
    let columns = within(window.columns, Window::USUAL.columns, MOST.1);
    vt100::Parser::new(rows, columns, 0)
}

/// The pieces as they are written, or, with a line feed that returns, as the terminal makes something of them.
fn written(pieces: &[Piece], line_feed: LineFeed) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text('\n') if line_feed == LineFeed::Returns => bytes.extend_from_slice(b"\r\n"),
            Piece::Text(c) => push(&mut bytes, *c),
            Piece::Sequence(sequence) => bytes.extend_from_slice(sequence),
        }
    }
    bytes
}

/// The text alone, on lines of its own.
fn plain(pieces: &[Piece]) -> Vec<u8> {
    let mut bytes = b"\r\n".to_vec();
    for piece in pieces {
        match piece {
            Piece::Text('\n') => bytes.extend_from_slice(b"\r\n"),
            Piece::Text(c) => push(&mut bytes, *c),
            Piece::Sequence(_) => bytes.push(b' '),
        }
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn push(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}
