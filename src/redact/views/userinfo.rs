//! User and password in a URL (RFC 3986, section 3.2.1): `scheme://user:password@host`. They are masked
//! whether or not a secret of the vault is in them.

use memchr::memmem;

use super::{Hit, Stream};
use crate::redact::tables::BY_SHAPE;

/// More is no user and password.
const LONGEST: u64 = 1024;
const BEFORE: &[u8] = b"://";
/// What the masks of this room begin with: text that was masked before stays as it is.
const MASK: &[u8] = b"[redacted:";
/// A port has at most so many digits.
const PORT: usize = 5;

/// Reads URLs.
#[derive(Default)]
pub(in crate::redact) struct Userinfo {
    /// How much of `://` has just been read.
    begun: usize,
    url: Option<Url>,
}

/// What stands behind `://`, so far.
struct Url {
    start: u64,
    text: Vec<u8>,
    /// Where the first colon of the text stands.
    colon: Option<usize>,
    /// Where the last `@` stands that ends a user and a password.
    at: Option<u64>,
}

impl Userinfo {
    /// Takes a part in, which stands at an offset of the stream.
    pub(in crate::redact) fn take(&mut self, part: &[u8], offset: u64, hit: &mut impl FnMut(Hit)) {
        let mut at = 0;
        while at < part.len() {
            if let Some(url) = &mut self.url {
                if url.goes_on(part[at], offset + at as u64) {
                    at += 1;
                } else {
                    self.close(hit);
                }
            } else if self.begun > 0 {
                self.begun = if part[at] == BEFORE[self.begun] { self.begun + 1 } else { 0 };
                at += usize::from(self.begun > 0);
                self.open(offset + at as u64);
            } else if let Some(found) = memmem::find(&part[at..], BEFORE) {
                at += found + BEFORE.len();
                self.begun = BEFORE.len();
                self.open(offset + at as u64);
            } else {
                let rest = &part[at..];
                self.begun =
                    (1..BEFORE.len()).rev().find(|length| rest.ends_with(&BEFORE[..*length])).unwrap_or(0);
                at = part.len();
            }
        }
    }

    /// Ends the stream.
    pub(in crate::redact) fn end(&mut self, stream: Stream, hit: &mut impl FnMut(Hit)) {
        if stream == Stream::Ended {
            self.close(hit);
        }
    }

    /// The offset from which on the stream may still be masked.
    pub(in crate::redact) fn earliest(&self) -> Option<u64> {
        self.url.as_ref().map(|url| url.start)
    }

    /// The same at a pause: a host and its port are shown.
    pub(in crate::redact) fn earliest_at_a_pause(&self) -> Option<u64> {
        let url = self.url.as_ref()?;
        let colon = url.colon?;
        let password = &url.text[colon + 1..];
        let port = password.len() <= PORT && password.iter().all(u8::is_ascii_digit);
        (password.len() > 3 && !port).then_some(url.start)
    }

    fn open(&mut self, start: u64) {
        if self.begun == BEFORE.len() {
            self.begun = 0;
            self.url = Some(Url { start, text: Vec::new(), colon: None, at: None });
        }
    }

    fn close(&mut self, hit: &mut impl FnMut(Hit)) {
        if let Some(Url { start, at: Some(end), .. }) = self.url.take() {
            hit(Hit { start, end, label: BY_SHAPE, kind: None });
        }
    }
}

impl Url {
    /// Takes a byte in; or says that it ends the part of the URL that is looked at.
    fn goes_on(&mut self, byte: u8, place: u64) -> bool {
        let ends =
            matches!(byte, 0..=b' ' | b'"' | b'\'' | b'/' | b'<' | b'>' | b'?' | b'#' | b'\\' | b'`' | 0x7f);
        if ends || place - self.start > LONGEST {
            return false;
        }
        if byte == b'@'
            && !self.text.starts_with(MASK)
            && self.colon.is_some_and(|colon| colon + 1 < self.text.len())
        {
            self.at = Some(place);
        }
        if byte == b':' && self.colon.is_none() {
            self.colon = Some(self.text.len());
        }
        self.text.push(byte);
        true
    }
}
