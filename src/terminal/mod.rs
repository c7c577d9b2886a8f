//! What a run shows on a person's terminal: text, and the control sequences that are known to be harmless.
//!
//! A terminal does more than show: it has a clipboard, a title that can be asked for, links whose text and target differ,
//! files and images, and it answers questions by typing into whatever reads next. So what a program writes is parsed, and
//! what passes is written anew from what was parsed, by a list of what may be ([`known`]). Everything else is dropped.
//! What a program changed is put back when it has ended ([`modes`]).
//!
//! A mask finds a value in a stream. On a screen a value can stand that never was in a stream in one piece: two halves,
//! with the cursor moved between. So what the screen holds is searched, too ([`screen`]): best effort, as a model of a
//! screen is never the screen itself.
//!
//! What enters: masked bytes of a run. What never happens here: I/O, and passing on anything as it came.

mod known;
mod modes;
mod piece;
mod screen;
#[cfg(test)]
mod tests;
mod window;

use std::sync::{Arc, Mutex, PoisonError};

use vte::{Params, Parser, Perform};

use crate::redact::NeedleSet;
use modes::Modes;
use piece::Piece;
use screen::Screen;

pub(crate) use window::{LineFeed, Window};

/// One terminal, to which one or two streams of a run are written.
pub(crate) struct Terminal(Mutex<Shared>);

struct Shared {
    modes: Modes,
    screen: Screen,
}

impl Terminal {
    /// A terminal on which the values of these needles must not stand.
    pub(crate) fn new(needles: NeedleSet) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Shared { modes: Modes::default(), screen: Screen::new(needles) })))
    }

    /// A stream of the run's that is written there.
    pub(crate) fn stream(self: &Arc<Self>) -> TerminalStream {
        TerminalStream { terminal: Arc::clone(self), parser: Parser::new(), begun: Vec::new(), link: None }
    }

    /// What puts everything back that the run changed. To be written last.
    pub(crate) fn put_back(&self) -> Vec<u8> {
        self.with(|shared| shared.modes.put_back())
    }

    /// Whether the terminal may have been typing by itself: the mouse, the focus, or marks around what is pasted.
    pub(crate) fn typed_by_itself(&self) -> bool {
        self.with(|shared| shared.modes.typed_by_itself())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Shared) -> T) -> T {
        // Whatever a thread that broke has left: the next bytes are parsed by the same rules.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One stream that is written to a terminal.
pub(crate) struct TerminalStream {
    terminal: Arc<Terminal>,
    parser: Parser,
    /// The first bytes of a character whose others have not come. The parser must not see them: of what follows in the
    /// next bytes it would lose a part (vte 0.15, `advance_partial_utf8`).
    begun: Vec<u8>,
    /// The link that is open: where it leads, and the text that was shown for it.
    link: Option<Link>,
}

impl TerminalStream {
    /// What of these bytes is shown. A sequence that is not complete waits for its end.
    pub(crate) fn pass(&mut self, bytes: &[u8], window: Window) -> Vec<u8> {
        let Self { terminal, parser, begun, link } = self;
        let mut whole = std::mem::take(begun);
        whole.extend_from_slice(bytes);
        *begun = whole.split_off(whole.len() - unfinished(&whole));
        terminal.with(|Shared { modes, screen }| {
            let mut passing = Passing { pieces: Vec::new(), modes, link };
            parser.advance(&mut passing, &whole);
            screen.show(&passing.pieces, window)
        })
    }
}

/// How many of the last bytes begin a character that isn't complete (RFC 3629, section 3).
fn unfinished(bytes: &[u8]) -> usize {
    let last = bytes.iter().rev().take(3).position(|byte| matches!(byte, 0xc2..=0xf4));
    last.filter(|back| {
        let needed = match bytes[bytes.len() - 1 - back] {
            0xf0.. => 4,
            0xe0.. => 3,
            _ => 2,
        };
        back + 1 < needed
    })
    .map_or(0, |back| back + 1)
}

/// Foreign text that is written to a terminal at once, by the same list, with everything put back behind it.
pub(crate) fn shown_once(bytes: &[u8]) -> Vec<u8> {
    let terminal = Terminal::new(NeedleSet::empty());
    let mut shown = terminal.stream().pass(bytes, Window::USUAL);
    shown.extend(terminal.put_back());
    shown
}

struct Link {
    target: String,
    text: String,
}

/// How much of a link's text is compared with where it leads, in bytes.
const LINK_TEXT: usize = 1024;

/// Bytes on their way through the list.
struct Passing<'a> {
    pieces: Vec<Piece>,
    modes: &'a mut Modes,
    link: &'a mut Option<Link>,
}

impl Passing<'_> {
    fn sequence(&mut self, bytes: Vec<u8>) {
        self.pieces.push(Piece::Sequence(bytes));
    }

    /// Ends the link that is open, and says where it led if its text did not. It is a link no more: what says where it
    /// leads could be erased again, with what is shown still leading there.
    fn end_link(&mut self) {
        let Some(Link { target, text }) = self.link.take() else { return };
        if text.trim() != target {
            self.pieces.extend(format!(" <{target}>").chars().map(Piece::Text));
        }
    }
}

impl Perform for Passing<'_> {
    fn print(&mut self, c: char) {
        // The parser takes DEL for a character; a terminal shows nothing for it.
        if c.is_control() {
            return;
        }
        if let Some(link) = self.link.as_mut().filter(|link| link.text.len() < LINK_TEXT) {
            link.text.push(c);
        }
        self.pieces.push(Piece::Text(c));
    }

    fn execute(&mut self, byte: u8) {
        match known::control(byte) {
            Some(known::Control::Text(c)) => self.pieces.push(Piece::Text(c)),
            Some(known::Control::Shift) => {
                self.modes.shifted();
                self.sequence(vec![byte]);
            }
            Some(known::Control::Move) => self.sequence(vec![byte]),
            None => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        if ignore {
            return;
        }
        let params: Vec<&[u16]> = params.iter().collect();
        if let Some(bytes) = known::csi(&params, intermediates, action, self.modes) {
            self.sequence(bytes);
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], ignore: bool, byte: u8) {
        if ignore {
            return;
        }
        if let Some(bytes) = known::escape(intermediates, byte, self.modes) {
            self.sequence(bytes);
        }
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _: bool) {
        match known::command(params) {
            Some(known::Command::Title(text)) => {
                let bytes = self.modes.title(&text);
                self.sequence(bytes);
            }
            Some(known::Command::Link(target)) => {
                self.end_link();
                *self.link = Some(Link { target, text: String::new() });
            }
            Some(known::Command::EndOfLink) => self.end_link(),
            None => {}
        }
    }
}
