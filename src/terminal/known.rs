//! The list: which control sequences reach a terminal. Sources: ECMA-48, and "XTerm Control Sequences"
//! (<https://invisible-island.net/xterm/ctlseqs/ctlseqs.html>), whose names are used here.

use std::fmt::Write as _;

use super::modes::{Mode, Modes};

/// A control character that passes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// As text: it begins a new line, or leaves room.
    Text(char),
    /// It moves the cursor back, or rings.
    Move,
    /// It chooses another set of characters, for the drawing of lines.
    Shift,
}

/// Of the controls of one byte (C0). ENQ has the terminal answer; NUL, DEL and C1 are for nothing that is seen.
pub(super) fn control(byte: u8) -> Option<Control> {
    match byte {
        b'\n' | b'\t' => Some(Control::Text(byte.into())),
        // BEL, BS, VT, FF, CR.
        0x07 | 0x08 | 0x0b | 0x0c | b'\r' => Some(Control::Move),
        // SO, SI.
        0x0e | 0x0f => Some(Control::Shift),
        _ => None,
    }
}

/// Where the cursor goes, what is erased, inserted, deleted, repeated, scrolled: ICH, CUU, CUD, CUF, CUB, CNL, CPL, CHA,
/// CUP, CHT, ED, EL, IL, DL, DCH, SU, ECH, CBT, HPA, HPR, REP, VPA, VPR, HVP.
const OF_THE_SCREEN: &str = "@ABCDEFGHIJKLMPSXZ`abdef";

/// A control sequence (CSI) as it is written anew; nothing where it isn't on the list. Among what is not: whatever the
/// terminal answers (DA, DSR, DECRQM, window reports), window operations, and settings of the keyboard.
pub(super) fn csi(
    params: &[&[u16]],
    intermediates: &[u8],
    action: char,
    modes: &mut Modes,
) -> Option<Vec<u8>> {
    match (intermediates, action) {
        ([], 'm') => {
            modes.styled();
            Some(write(params, "", "", action))
        }
        ([], action) if OF_THE_SCREEN.contains(action) => Some(write(params, "", "", action)),
        // SD. With more parameters it is about the mouse.
        ([], 'T') if params.len() <= 1 => Some(write(params, "", "", action)),
        // DECSED, DECSEL.
        ([b'?'], 'J' | 'K') => Some(write(params, "?", "", action)),
        // SCOSC, SCORC. With parameters the first sets margins.
        ([], 's' | 'u') if params.iter().all(|param| **param == [0]) => Some(write(&[], "", "", action)),
        // DECSTBM.
        ([], 'r') => {
            modes.margins();
            Some(write(params, "", "", action))
        }
        // DECSCUSR.
        ([b' '], 'q') => {
            modes.cursor_style();
            Some(write(params, "", " ", action))
        }
        // DECSTR.
        ([b'!'], 'p') => Some(write(&[], "", "!", action)),
        ([], 'h' | 'l') => set(params, Mode::ansi, "", action, modes),
        ([b'?'], 'h' | 'l') => set(params, Mode::private, "?", action, modes),
        _ => None,
    }
}

/// Modes that are on the list are set; others beside them in the sequence are left out.
fn set(
    params: &[&[u16]],
    known: fn(u16) -> Option<Mode>,
    private: &str,
    action: char,
    modes: &mut Modes,
) -> Option<Vec<u8>> {
    let passing: Vec<&[u16]> = params
        .iter()
        .copied()
        .filter(|param| match param {
            [number] => known(*number).is_some_and(|mode| {
                modes.set(mode, action == 'h');
                true
            }),
            _ => false,
        })
        .collect();
    (!passing.is_empty()).then(|| write(&passing, private, "", action))
}

fn write(params: &[&[u16]], private: &str, intermediates: &str, action: char) -> Vec<u8> {
    let params: Vec<String> =
        params.iter().map(|param| param.iter().map(u16::to_string).collect::<Vec<_>>().join(":")).collect();
    let mut text = format!("\u{1b}[{private}");
    // An absent parameter was read as one that is 0, and means the same.
    let _ = write!(text, "{}{intermediates}{action}", params.join(";"));
    text.into_bytes()
}

/// An escape sequence that is no control sequence.
pub(super) fn escape(intermediates: &[u8], byte: u8, modes: &mut Modes) -> Option<Vec<u8>> {
    match (intermediates, byte) {
        // DECSC, DECRC, IND, NEL, RI.
        ([], b'7' | b'8' | b'D' | b'E' | b'M') => {}
        // DECKPAM, DECKPNM.
        ([], b'=' | b'>') => modes.keypad(),
        // Sets of characters for G0 and G1: ASCII, line drawing, British.
        ([b'(' | b')'], b'0' | b'A' | b'B') => modes.shifted(),
        _ => return None,
    }
    Some([b"\x1b", intermediates, &[byte]].concat())
}

/// An operating system command (OSC) that passes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// The window's title.
    Title(String),
    /// What comes next is a link.
    Link(String),
    EndOfLink,
}

/// Longest title, in characters.
const TITLE: usize = 256;
/// Longest target of a link. The parser cuts a command at 1,024 bytes: what is cut leads somewhere else.
const TARGET: usize = 900;

/// A command by its parts. What is not on the list: the clipboard (52), colours that are asked for (4, 10 to 19), the
/// directory (7), notifications (9, 777), files and images (1337), and what is made up tomorrow.
pub(super) fn command(parts: &[&[u8]]) -> Option<Command> {
    match parts {
        [b"0" | b"1" | b"2", text @ ..] => {
            let text = String::from_utf8_lossy(&text.join(&b';')).into_owned();
            Some(Command::Title(text.chars().filter(|c| !c.is_control()).take(TITLE).collect()))
        }
        [b"8", _, b""] => Some(Command::EndOfLink),
        [b"8", _, target @ ..] if !target.is_empty() => {
            let target = String::from_utf8(target.join(&b';')).ok()?;
            let web = target.starts_with("https://") || target.starts_with("http://");
            let plain = target.len() <= TARGET && target.bytes().all(|byte| byte.is_ascii_graphic());
            (web && plain).then_some(Command::Link(target))
        }
        _ => None,
    }
}
