//! What a run has changed about a terminal, and how it is put back.

use std::collections::BTreeMap;

/// A mode that a program may set, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mode {
    Ansi(u16),
    Private(u16),
}

/// A mode's number, and whether it is set at first.
type Known = (u16, bool);

/// IRM: what is written moves the rest of the line.
const ANSI: [Known; 1] = [(4, false)];
const PRIVATE: [Known; 18] = [
    // Cursor keys of an application, colours reversed, origin, wrapping, the cursor's being seen.
    (1, false),
    (5, false),
    (6, false),
    (7, true),
    (25, true),
    // The alternate screen, with and without the cursor's place.
    (47, false),
    (1047, false),
    (1048, false),
    (1049, false),
    // The mouse, and how it is told of.
    (1000, false),
    (1002, false),
    (1003, false),
    (1006, false),
    (1015, false),
    (1016, false),
    // Focus, marks around what is pasted, and updates that are shown at once.
    (1004, false),
    (2004, false),
    (2026, false),
];
/// Modes in which a terminal types what nobody typed.
const TYPING: [u16; 8] = [1000, 1002, 1003, 1004, 1006, 1015, 1016, 2004];

impl Mode {
    pub(super) fn ansi(number: u16) -> Option<Self> {
        ANSI.iter().any(|(known, _)| *known == number).then_some(Self::Ansi(number))
    }

    pub(super) fn private(number: u16) -> Option<Self> {
        PRIVATE.iter().any(|(known, _)| *known == number).then_some(Self::Private(number))
    }

    fn at_first(self) -> bool {
        let (number, list) = match self {
            Self::Ansi(number) => (number, ANSI.as_slice()),
            Self::Private(number) => (number, PRIVATE.as_slice()),
        };
        list.iter().any(|(known, set)| *known == number && *set)
    }

    fn write(self, set: bool) -> Vec<u8> {
        let action = if set { 'h' } else { 'l' };
        match self {
            Self::Ansi(number) => format!("\u{1b}[{number}{action}"),
            Self::Private(number) => format!("\u{1b}[?{number}{action}"),
        }
        .into_bytes()
    }
}

/// What has been changed.
#[derive(Debug, Default)]
pub(super) struct Modes {
    set: BTreeMap<Mode, bool>,
    styled: bool,
    shifted: bool,
    margins: bool,
    cursor_style: bool,
    keypad: bool,
    titled: bool,
    typed: bool,
}

impl Modes {
    pub(super) fn set(&mut self, mode: Mode, on: bool) {
        self.typed |= on && matches!(mode, Mode::Private(number) if TYPING.contains(&number));
        self.set.insert(mode, on);
    }

    pub(super) fn styled(&mut self) {
        self.styled = true;
    }

    pub(super) fn shifted(&mut self) {
        self.shifted = true;
    }

    pub(super) fn margins(&mut self) {
        self.margins = true;
    }

    pub(super) fn cursor_style(&mut self) {
        self.cursor_style = true;
    }

    pub(super) fn keypad(&mut self) {
        self.keypad = true;
    }

    pub(super) fn typed_by_itself(&self) -> bool {
        self.typed
    }

    /// A title is set. The one before the first is kept on the terminal's own stack (XTWINOPS 22), since a terminal that
    /// is asked for it answers by typing it.
    pub(super) fn title(&mut self, text: &str) -> Vec<u8> {
        let keep = if self.titled { "" } else { "\u{1b}[22;0t" };
        self.titled = true;
        format!("{keep}\u{1b}]2;{text}\u{1b}\\").into_bytes()
    }

    /// Everything as it was, once.
    pub(super) fn put_back(&mut self) -> Vec<u8> {
        let Self { set, styled, shifted, margins, cursor_style, keypad, titled, typed: _ } =
            std::mem::take(self);
        let mut bytes = Vec::new();
        let mut put = |changed: bool, back: &[u8]| {
            if changed {
                bytes.extend_from_slice(back);
            }
        };
        put(styled, b"\x1b[0m");
        // SI, then ASCII in G0 and G1.
        put(shifted, b"\x0f\x1b(B\x1b)B");
        // Margins send the cursor home.
        put(margins, b"\x1b7\x1b[r\x1b8");
        put(cursor_style, b"\x1b[0 q");
        put(keypad, b"\x1b>");
        for (mode, on) in set {
            put(on != mode.at_first(), &mode.write(mode.at_first()));
        }
        put(titled, b"\x1b[23;0t");
        bytes
    }
}
