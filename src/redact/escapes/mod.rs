//! Escapes: how text writes a byte that it may not, or needn't, write as it stands.
//!
//! Each dialect reads one escape at a time, from its introducer on, and says how many bytes it takes and what
//! they stand for. What is no escape of the dialect is text.

mod backslash;
mod entities;
mod percent;
mod quotes;
mod styled;
mod written;

use memchr::{memchr, memchr2, memchr3};

pub(super) use written::{Escape, Rank};
use written::{Parsed, Unfinished, Written};

/// The longest escape: a pair of surrogates, each as `\uXXXX`.
#[cfg(test)]
const LONGEST_ESCAPE: usize = 12;

/// A way to write escapes. Those of one dialect are told from each other by how they begin; where a writing means one
/// thing here and another there, as `\3d` does, there are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Programming languages, JSON, shells, URLs, HTML and XML, SQL and CSV: whatever is joined in [`Common`].
    Common,
    /// Quoted-printable (RFC 2045, section 6.7). Its introducer stands before values in every log.
    QuotedPrintable,
    /// CSS: up to six digits and a space (CSS Syntax Level 3, section 4.3.7).
    Css,
    /// LDAP: two hex digits (RFC 4515, section 3).
    HexPair,
    /// Zone files, OCaml, Lua: three decimal digits (RFC 1035, section 5.1).
    Decimal,
    /// A shell's words, of which parts are in `$'…'` (coreutils, in messages and listings).
    Shell,
    /// Letters in another style, as Unicode has them.
    Styled,
}

/// What is read as an escape in [`Dialect::Common`].
#[derive(Clone, Copy)]
pub(super) struct Common {
    pub(super) backslash: bool,
    pub(super) percent: bool,
    pub(super) entities: bool,
    /// Doubled quotes, a shell's ways to write one, PowerShell's backtick.
    pub(super) quotes: bool,
}

/// What stands at an introducer.
pub(super) enum Token {
    Escape(Escape),
    /// No escape: the introducer is text.
    Text,
    /// More has to come before it can be told.
    Unfinished,
}

impl Dialect {
    /// Where the next introducer is.
    #[inline]
    pub(super) fn find(self, text: &[u8], quotes: bool) -> Option<usize> {
        // Where escapes follow each other, asking is what costs.
        match (self, text.first()) {
            (Self::QuotedPrintable, Some(b'=')) => return Some(0),
            (Self::QuotedPrintable | Self::Styled, _) => {}
            (_, Some(b'\\')) | (Self::Common, Some(b'%' | b'&')) => return Some(0),
            _ => {}
        }
        match self {
            Self::Common => {
                let first = memchr3(b'\\', b'%', b'&', text);
                let upto = first.unwrap_or(text.len());
                let quote = quotes.then(|| memchr3(b'\'', b'"', b'`', &text[..upto])).flatten();
                quote.or(first)
            }
            Self::QuotedPrintable => memchr(b'=', text),
            Self::Css | Self::HexPair | Self::Decimal => memchr(b'\\', text),
            Self::Shell => memchr2(b'\\', b'\'', text),
            Self::Styled => memchr2(0xef, 0xf0, text),
        }
    }

    /// Whether a character behind a backslash stands for itself.
    #[inline]
    pub(super) fn is_itself(self, char: u8) -> bool {
        match self {
            Self::Common => !matches!(
                char,
                b'0'..=b'7'
                    | b'\r'
                    | b'\n'
                    | b'a'
                    | b'b'
                    | b'e'
                    | b'f'
                    | b'n'
                    | b'r'
                    | b't'
                    | b'u'
                    | b'v'
                    | b'x'
                    | b'U'
            ),
            Self::Css | Self::HexPair => !char.is_ascii_hexdigit(),
            Self::Decimal => !char.is_ascii_digit(),
            Self::QuotedPrintable | Self::Shell | Self::Styled => false,
        }
    }

    /// Reads what a text begins with: an introducer, in a stream that has ended behind the text or goes on.
    pub(super) fn read(self, text: &[u8], ended: bool) -> Token {
        let text = Written { text, ended };
        let parsed = match self {
            Self::Common => common(text, Common::ALL),
            Self::QuotedPrintable => percent::quoted_printable(text),
            Self::Css => backslash::css(text),
            Self::HexPair => backslash::hex_pair(text),
            Self::Decimal => backslash::decimal(text),
            Self::Shell => shell(text),
            Self::Styled => styled::styled(text),
        };
        match parsed {
            Ok(Some(escape)) => Token::Escape(escape),
            Ok(None) => Token::Text,
            Err(Unfinished) => Token::Unfinished,
        }
    }
}

fn shell(text: Written<'_>) -> Parsed {
    if text.at(0)? == Some(b'\\') { backslash::common(text) } else { quotes::change(text) }
}

fn common(text: Written<'_>, only: Common) -> Parsed {
    match text.text.first() {
        Some(b'\\') if only.backslash => backslash::common(text),
        Some(b'%') if only.percent => percent::percent(text),
        Some(b'&') if only.entities => entities::entity(text),
        Some(b'\'' | b'"' | b'`') if only.quotes => quotes::quote(text),
        _ => Ok(None),
    }
}

impl Common {
    const ALL: Self = Self { backslash: true, percent: true, entities: true, quotes: true };
}

/// A text as it is read where it stands in something that is written with escapes: an encoder of one kind leaves those
/// of the others as they are, and they are read together. None of a text that has no escapes.
pub(super) fn readings(text: &[u8]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = vec![text.to_vec()];
    for kinds in 1..16u8 {
        let has = |bit: u8| kinds & bit != 0;
        let only = Common { backslash: has(1), percent: has(2), entities: has(4), quotes: has(8) };
        let once = decoded(text, only);
        let twice = decoded(&once, only);
        // A backslash at its end is taken for what stands behind it.
        let cut = only.backslash.then(|| once.strip_suffix(b"\\").map(<[u8]>::to_vec)).flatten();
        for reading in [once, twice].into_iter().chain(cut) {
            if !all.contains(&reading) {
                all.push(reading);
            }
        }
    }
    all.remove(0);
    all
}

fn decoded(text: &[u8], only: Common) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        match common(Written { text: rest, ended: true }, only) {
            Ok(Some(escape)) => {
                out.extend_from_slice(escape.bytes());
                rest = &rest[escape.length..];
            }
            _ => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
