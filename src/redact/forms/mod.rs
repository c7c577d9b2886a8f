//! The forms that a value takes in output: tables, a line a kind.
//!
//! A form is looked for in one of two ways. *As it stands*, byte by byte. Or *squeezed*: only its letters
//! and digits, case folded, in a stream that is read the same way; there one form stands for every
//! separator, line width, escape sequence and prefix character between its symbols.

mod arena;
mod charsets;
mod kinds;
mod numbers;
mod pieces;
mod squeezed;
mod written;

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::Arc,
};

use zeroize::Zeroizing;

use super::{
    escapes,
    parts::{Extent, Part, parts},
    strength::{GUESSABLE_BELOW, Profile},
    weak::is_found_everywhere,
};
pub(super) use arena::Arena;
use charsets::charsets;
use kinds::{BASE64, Keeps, Kind, kind};
use pieces::{MOST_PIECES, Piece, Steps};
use squeezed::{INTEGERS, SQUEEZED, SQUEEZED_LINES};

/// An encoded form shorter than this is no needle: it would be found by chance.
const MIN_ENCODED: usize = 6;
/// A squeezed form is looked for when hitting it by chance takes a guess of at least so many bits.
const MIN_BITS: usize = 40;
/// A text longer than this has the plain forms only: its many others would be a burden, and a dump of it
/// is found by its lines.
const MAX_MANY_FORMS: usize = 512;
/// The private number of an elliptic curve has no more bytes: people write it in alphabets of their own.
const LONGEST_SCALAR: usize = 66;
/// Kinds that turn letters, of which a number has none.
const OF_TEXT: [&str; 4] = ["reversed", "rot", "utf-16", "spread"];

/// One form of a value.
#[derive(Clone, Copy)]
pub(super) struct Form {
    /// What kind of form, for counts.
    pub(super) kind: &'static str,
    /// Where the bytes lie that are looked for, and how many they are.
    at: u32,
    length: u32,
    /// How many letters and digits of it lie behind them, case folded, where they are looked for first.
    squeezed: u32,
    /// How they are looked for.
    pub(super) sight: MatchMode,
    /// Whether they are looked for where they are written with escapes, too.
    pub(super) escaped: bool,
    /// Whether it can be guessed.
    pub(super) guess: Guess,
}

/// The forms of a value: first those that nobody guesses, then the others, no form twice.
pub(super) struct Forms {
    pub(super) arena: Arc<Arena>,
    pub(super) list: Vec<Form>,
}

impl Forms {
    #[cfg(test)]
    pub(super) fn exact(needles: &[&[u8]]) -> Self {
        let mut all = Collected::default();
        for bytes in needles.iter().filter(|bytes| !bytes.is_empty()) {
            let (at, length) = (all.arena.add(bytes), length(bytes));
            let (sight, guess) = (MatchMode::Literal, Guess::Hopeless);
            all.list.push(Form { kind: "raw", at, length, squeezed: 0, sight, escaped: false, guess });
        }
        Self { arena: Arc::new(all.arena), list: all.list }
    }

    /// What is looked for.
    pub(super) fn bytes(&self, form: &Form) -> &[u8] {
        self.arena.bytes(form.at, form.length)
    }
}

impl Form {
    /// The place and the length of what is looked for.
    pub(super) fn place(&self) -> (u32, u32) {
        (self.at, self.length)
    }

    /// Of what is looked for squeezed, the place and the length of its letters and digits.
    pub(super) fn squeezed(&self) -> (u32, u32) {
        match self.sight {
            MatchMode::Ordered => (self.at + self.length, self.squeezed),
            MatchMode::Literal | MatchMode::AlnumOnly => self.place(),
        }
    }
}

/// Whether what a form tells of its value can be guessed: whoever does sees by the mask that it was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guess {
    /// It is as hard as [`GUESSABLE_BELOW`] asks.
    Hopeless,
    /// It is not.
    Possible,
}

/// How a form is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum MatchMode {
    /// As it stands.
    Literal,
    /// By its letters and digits; what else it holds must stand between them.
    Ordered,
    /// By its letters and digits alone.
    AlnumOnly,
}

/// Every kind of form that is looked for as it stands; each is applied to the whole value, to its
/// unquoted inside, and to each of its lines.
const WRITTEN: &[Kind] =
    &[kind("base64", written::base64_forms, 1, BASE64), kind("hex", written::hex_forms, 0, Keeps::All)];

/// Forms of punctuation, looked for as they stand; of short texts only.
const DENSE: &[Kind] = &[
    kind("base85", numbers::base85_forms, 3, Keeps::Share(50)),
    kind("uuencode", numbers::uu_forms, 1, Keeps::Share(40)),
    kind("rot", numbers::rot47_forms, 0, Keeps::Share(40)),
];

/// All forms of a value.
pub(super) fn forms(value: &[u8]) -> Forms {
    let parts = parts(value).list;
    let mut forms = Collected { steps: Steps::of(&parts), ..Collected::default() };
    for part in parts {
        if part.extent == Extent::PublicLine {
            forms.public_line(&part.bytes);
            continue;
        }
        if matches!(part.extent, Extent::Number | Extent::Bytes) {
            forms.bytes(&part.bytes);
            if part.extent == Extent::Number {
                forms.pieces_of_number(&part.bytes);
            }
            continue;
        }
        forms.text(if part.extent == Extent::Whole { "raw" } else { "line" }, &part);
        for written in charsets(&part.bytes) {
            forms.in_another_charset(written);
        }
    }
    forms.list.sort_by_key(|form| form.guess == Guess::Possible);
    forms.list.shrink_to_fit();
    forms.arena.close();
    Forms { arena: Arc::new(forms.arena), list: forms.list }
}

#[derive(Default)]
struct Collected {
    arena: Arena,
    list: Vec<Form>,
    /// The form of each hash.
    known: HashMap<u64, usize>,
    hashes: RandomState,
    pieces: usize,
    steps: Steps,
}

impl Collected {
    fn text(&mut self, kind: &'static str, part: &Part) {
        let text = part.bytes.as_slice();
        let profile = Profile::of(text);
        self.plain(kind, text, &profile);
        self.as_read(text);
        for kind in WRITTEN {
            self.kind(kind, text, &profile, Some(MatchMode::AlnumOnly));
        }
        if part.extent == Extent::Body {
            self.add_pieces(&pieces::of_body(text, self.steps.body));
        } else if part.in_pieces {
            let pieces = pieces::of_random(text, MOST_PIECES - self.pieces);
            self.pieces += pieces.len();
            self.add_pieces(&pieces);
        }
        if text.len() > MAX_MANY_FORMS {
            return;
        }
        for kind in DENSE {
            self.kind(kind, text, &profile, Some(MatchMode::AlnumOnly));
        }
        let whole = part.extent == Extent::Whole;
        let (integers, more) = if whole { (INTEGERS, SQUEEZED) } else { (&[][..], &[][..]) };
        for kind in SQUEEZED_LINES.iter().chain(integers).chain(more) {
            self.kind(kind, text, &profile, None);
        }
    }

    /// Bytes of a key: as they are, and in what tools write bytes and numbers as.
    fn bytes(&mut self, number: &[u8]) {
        // What stands behind these only makes it harder to guess.
        let profile = Profile::of(&number[..number.len().min(LONGEST_SCALAR)]);
        self.add("number", number, MatchMode::Literal, guess(profile.all()));
        let (dense, lists, alphabets): (&[Kind], &[Kind], &[Kind]) = match number.len() {
            short if short <= LONGEST_SCALAR => (DENSE, SQUEEZED_LINES, SQUEEZED),
            long if long <= MAX_MANY_FORMS => (&[], SQUEEZED_LINES, &[]),
            _ => (&[], &[], &[]),
        };
        let is_of_numbers = |kind: &&Kind| !OF_TEXT.contains(&kind.name);
        for kind in WRITTEN.iter().chain(dense).filter(is_of_numbers) {
            self.kind(kind, number, &profile, Some(MatchMode::AlnumOnly));
        }
        for kind in INTEGERS.iter().chain(lists).chain(alphabets).filter(is_of_numbers) {
            self.kind(kind, number, &profile, None);
        }
    }

    /// As it stands alone: without the end of the line it is in a public key.
    fn public_line(&mut self, line: &[u8]) {
        if let Some(form) = self.add("line", line, MatchMode::Literal, guess(Profile::of(line).all())) {
            form.escaped = true;
        }
    }

    fn pieces_of_number(&mut self, number: &[u8]) {
        for (bytes, squeezed) in pieces::of_number(number, self.steps.number) {
            let bits = guess(Profile::of(bytes).all());
            self.add("part", bytes, MatchMode::Literal, bits);
            for symbols in squeezed {
                self.add("part", &symbols, MatchMode::AlnumOnly, bits);
            }
        }
    }

    /// A text as it stands, and by its letters and digits; also where it is written with escapes.
    fn plain(&mut self, kind: &'static str, text: &[u8], profile: &Profile) {
        let (whole, letters) = (guess(profile.inside(0)), guess(profile.folded_inside(0)));
        for (sight, guess) in [(MatchMode::Literal, whole), (MatchMode::Ordered, letters)] {
            if let Some(form) = self.add(kind, text, sight, guess) {
                form.escaped = true;
            }
        }
    }

    /// What a text is where escapes are read that were its own, or a space is written as forms of HTML do (WHATWG URL,
    /// section 5.2) or headers of mails (RFC 2047, section 4.2): with a sign that is read as itself.
    fn as_read(&mut self, text: &[u8]) {
        let mut readings = escapes::readings(text);
        if text.contains(&b' ') {
            let with = |sign| text.iter().map(|byte| if *byte == b' ' { sign } else { *byte }).collect();
            readings.extend([with(b'+'), with(b'_')]);
        }
        for reading in readings.into_iter().filter(|reading| !is_found_everywhere(reading)) {
            let reading = Zeroizing::new(reading);
            self.plain("escaped", &reading, &Profile::of(&reading));
        }
    }

    /// A text in another character set: what is inside of its bytes tells how hard it is to guess no more.
    fn in_another_charset(&mut self, written: Vec<u8>) {
        let from = self.list.len();
        let bytes = Zeroizing::new(written);
        self.text("charset", &Part { place: String::new(), bytes, extent: Extent::Line, in_pieces: false });
        self.list[from..].iter_mut().for_each(|form| form.guess = Guess::Possible);
    }

    /// The forms of a kind: as they stand and in another sight, too, or squeezed alone.
    fn kind(&mut self, kind: &Kind, text: &[u8], profile: &Profile, other: Option<MatchMode>) {
        let exact = guess(profile.inside(kind.ends));
        let squeezed = kind.squeezed(profile);
        for encoded in (kind.encode)(text).into_iter().map(Zeroizing::new) {
            if let Some(sight) = other {
                self.encoded(kind.name, &encoded, text, exact);
                if let Some(form) = self.add(kind.name, &encoded, sight, squeezed) {
                    form.escaped |= kind.name == "base64";
                }
            } else {
                self.add(kind.name, &encoded, MatchMode::AlnumOnly, squeezed);
            }
        }
    }

    /// What stands as it is must be long enough, and no text of its own.
    fn encoded(&mut self, kind: &'static str, bytes: &[u8], text: &[u8], guess: Guess) {
        if bytes.len() >= MIN_ENCODED && bytes != text {
            self.add(kind, bytes, MatchMode::Literal, guess);
        }
    }

    fn add_pieces(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            self.add("part", &piece.symbols, MatchMode::AlnumOnly, guess(piece.bits));
        }
    }

    /// Adds a form, if it is one, and gives what is known of it.
    fn add(&mut self, kind: &'static str, bytes: &[u8], sight: MatchMode, guess: Guess) -> Option<&mut Form> {
        let symbols = match sight {
            MatchMode::Literal => None,
            MatchMode::Ordered | MatchMode::AlnumOnly => Some(squeeze(bytes)),
        };
        if symbols.as_ref().is_some_and(|symbols| !hard_to_guess(symbols)) {
            return None;
        }
        let bytes = match &symbols {
            Some(symbols) if sight == MatchMode::AlnumOnly => symbols,
            _ => bytes,
        };
        if bytes.is_empty() {
            return None;
        }
        let hash = self.hashes.hash_one((sight, bytes));
        let known = self.known.get(&hash).copied().filter(|at| {
            let form = &self.list[*at];
            form.sight == sight && self.arena.bytes(form.at, form.length) == bytes
        });
        if let Some(at) = known {
            let form = &mut self.list[at];
            if guess == Guess::Hopeless {
                // What is a part of one text is the whole of another: the harder to guess, the better it is known.
                form.guess = guess;
            }
            return Some(form);
        }
        self.known.insert(hash, self.list.len());
        let at = self.arena.add(bytes);
        let behind = symbols.as_ref().filter(|_| sight == MatchMode::Ordered);
        let squeezed = behind.map_or(0, |symbols| length(symbols));
        behind.inspect(|symbols| _ = self.arena.add(symbols));
        self.list.push(Form { kind, at, length: length(bytes), squeezed, sight, escaped: false, guess });
        self.list.last_mut()
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("no form of a value of a mebibyte has 4 GiB")
}

impl Kind {
    /// Whether a squeezed form of this kind can be guessed.
    fn squeezed(&self, profile: &Profile) -> Guess {
        guess(match self.keeps {
            Keeps::All => profile.inside(self.ends),
            Keeps::Letters => profile.folded_inside(self.ends),
            Keeps::Share(hundredths) => profile.inside(self.ends) * f64::from(hundredths) / 100.0,
        })
    }
}

fn guess(bits: f64) -> Guess {
    if bits < f64::from(GUESSABLE_BELOW) { Guess::Possible } else { Guess::Hopeless }
}

/// Letters and digits, case folded: what the squeezed view of a stream consists of.
pub(super) fn squeeze(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut symbols = Zeroizing::new(vec![0; bytes.len()]);
    let mut count = 0;
    for byte in bytes {
        symbols[count] = byte.to_ascii_lowercase();
        count += usize::from(byte.is_ascii_alphanumeric());
    }
    symbols.truncate(count);
    symbols
}

/// Tenths of a bit of a digit: no symbol has fewer.
const DIGIT_TENTHS: usize = 33;

/// Whether a squeezed form is too long to be hit by chance: by the alphabet that it is drawn from.
fn hard_to_guess(symbols: &[u8]) -> bool {
    // As most are.
    if symbols.len() * DIGIT_TENTHS >= MIN_BITS * 10 {
        return true;
    }
    let digits = symbols.iter().filter(|symbol| symbol.is_ascii_digit()).count();
    let tenths = match symbols.len() - digits {
        0 => DIGIT_TENTHS,
        _ if symbols.iter().all(u8::is_ascii_hexdigit) => 40,
        _ if digits == 0 => 40,
        _ => 51,
    };
    symbols.len() * tenths >= MIN_BITS * 10
}
