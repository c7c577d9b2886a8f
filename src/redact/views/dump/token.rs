//! The words of a line that may be numbers.

/// Traits of the characters of a word: what they keep it from being. A digit of a base is one of each larger base.
pub(super) const NOT_BINARY: u8 = 1;
pub(super) const NOT_OCTAL: u8 = 2;
pub(super) const NOT_DECIMAL: u8 = 4;
pub(super) const NOT_HEX: u8 = 8;
/// Stands between words.
const BETWEEN: u8 = 16;
/// The column of characters begins with it.
const WALL: u8 = 32;

const TRAITS: [u8; 256] = {
    let mut table = [NOT_BINARY | NOT_OCTAL | NOT_DECIMAL | NOT_HEX; 256];
    let mut byte = 0;
    while byte < 256 {
        let traits = match byte as u8 {
            b'0' | b'1' => 0,
            b'2'..=b'7' => NOT_BINARY,
            b'8' | b'9' => NOT_BINARY | NOT_OCTAL,
            b'a'..=b'f' | b'A'..=b'F' => NOT_BINARY | NOT_OCTAL | NOT_DECIMAL,
            b' ' | b'\t' | b'\r' | b',' | b';' | b':' | b'[' | b']' | b'(' | b')' | b'{' | b'}' => BETWEEN,
            b'|' | b'<' | b'>' | b'"' | 0x80.. => BETWEEN | WALL,
            _ => NOT_BINARY | NOT_OCTAL | NOT_DECIMAL | NOT_HEX,
        };
        table[byte] = traits;
        byte += 1;
    }
    table
};

/// Whether a byte may stand in columns of numbers: a digit of any base, `0x`, and what is between them, but no colon:
/// where one is between all of them, there is nothing to read that isn't there without the columns.
pub(super) fn in_columns(byte: u8) -> bool {
    COLUMNS[usize::from(byte)]
}

const COLUMNS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = TRAITS[byte] & (NOT_HEX | WALL) == 0 && byte != b':' as usize || byte == b'x' as usize;
        byte += 1;
    }
    table
};

pub(super) fn is_between(byte: u8) -> bool {
    TRAITS[usize::from(byte)] & BETWEEN != 0
}

/// Behind the beginning of a line, a number in front of a colon has so many digits: others are of a time.
const LEAST_NAME: usize = 4;

/// A word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    /// Where its digits stand in the line, without sign and `0x`.
    pub(super) start: usize,
    pub(super) end: usize,
    /// How many spaces are before it.
    pub(super) gap: usize,
    /// What it can't be.
    pub(super) traits: u8,
    pub(super) negative: bool,
    pub(super) prefixed: bool,
    /// It has a zero in front.
    pub(super) padded: bool,
    /// A colon, or a name in angle brackets and a colon, is behind it; or it is the first, in front of a tab.
    pub(super) names: bool,
    /// A bar, a bracket or a quote is before it.
    pub(super) walled: bool,
}

impl Token {
    pub(super) fn width(&self) -> usize {
        self.end - self.start
    }
}

/// Splits a line, from an index on.
pub(super) fn split(line: &[u8], from: usize, tokens: &mut Vec<Token>) {
    tokens.clear();
    // What began before is no word.
    let cut = from > 0 && !is_between(line[from - 1]);
    let inside = line[from..].iter().take_while(|byte| cut && !is_between(**byte)).count();
    let (mut at, mut gap, mut walled) = (from + inside, 0, false);
    while let Some(byte) = line.get(at) {
        if let Some(length) = set_aside(&line[at..]) {
            at += length;
        } else if is_between(*byte) {
            gap += usize::from(matches!(byte, b' ' | b'\t'));
            walled |= TRAITS[usize::from(*byte)] & WALL != 0;
            at += 1;
        } else {
            let token = word(line, at, gap, walled);
            (at, gap, walled) = (token.end.max(at + 1), 0, false);
            at += symbol(&line[at..]);
            let numbers_the_line = tokens.is_empty() && from == 0 && line.get(at) == Some(&b'\t');
            tokens.push(Token { names: token.names || numbers_the_line, ..token });
        }
    }
}

/// A word that begins at an index.
fn word(line: &[u8], at: usize, gap: usize, walled: bool) -> Token {
    let rest = &line[at..];
    let negative = matches!(rest, [b'-', b'0'..=b'9', ..]);
    let prefixed = matches!(rest, [b'0', b'x' | b'X', ..]);
    let start = at + usize::from(negative) + 2 * usize::from(prefixed);
    let length = line[start..].iter().position(|byte| is_between(*byte) || *byte == 0x1b);
    let end = length.map_or(line.len(), |length| start + length);
    let traits = line[start..end].iter().fold(0, |all, byte| all | TRAITS[usize::from(*byte)]);
    let padded = end > start + 1 && line[start] == b'0';
    let empty = if start == end { NOT_HEX } else { 0 };
    let behind = &line[end..];
    let first = line[..at].iter().all(|byte| is_between(*byte));
    let names = behind.get(symbol(behind)) == Some(&b':') && (first || end - start >= LEAST_NAME);
    Token { start, end, gap, traits: traits | empty, negative, prefixed, padded, names, walled }
}

/// How long the name in angle brackets is that `gdb` writes behind an address.
fn symbol(behind: &[u8]) -> usize {
    if !behind.starts_with(b" <") {
        return 0;
    }
    let end = behind.iter().take(200).position(|byte| *byte == b'>').map_or(0, |at| at + 1);
    if behind.get(end) == Some(&b':') { end } else { 0 }
}

/// How long a sequence is that colours what follows (ECMA-48, section 5.4).
pub(super) fn colour(rest: &[u8]) -> Option<usize> {
    let [0x1b, b'[', behind @ ..] = rest else { return None };
    Some(2 + behind.iter().position(|byte| (0x40..=0x7e).contains(byte)).map_or(behind.len(), |at| at + 1))
}

/// What is no word and none's neighbour: colours, and the character that `gdb` writes behind its number.
fn set_aside(rest: &[u8]) -> Option<usize> {
    match rest {
        [0x1b, ..] => colour(rest),
        [b' ', rest @ ..] if rest.starts_with(b"'") => set_aside(rest).map(|length| length + 1),
        [b'\'', b'\\', behind @ ..] => {
            behind.iter().take(4).skip(1).position(|byte| *byte == b'\'').map(|at| at + 4)
        }
        [b'\'', _, b'\'', ..] => Some(3),
        _ => None,
    }
}
