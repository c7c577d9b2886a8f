//! Placeholders: what stands for a sealed value in a child, shaped like it.
//!
//! The length, the classes of its characters and a prefix that a vendor's keys begin with are kept, so that
//! clients that look at a key accept it; everything else is random and worth nothing after the run. What stands
//! for a value that can be guessed has no shape: its length would be a part of the guess. A
//! placeholder is made of characters that no encoder changes, so that it is found where a client puts it.

use zeroize::Zeroizing;

use crate::redact::PREFIXES;

/// Below so many random characters chance could hit: then the shape is given up.
const FEWEST_RANDOM: usize = 12;
/// What stands for a value whose shape is given up.
const SHAPELESS: &str = "placeholder_";

/// Makes a placeholder for a value, different at every call.
pub(super) fn placeholder(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let prefix =
        PREFIXES.iter().filter(|prefix| text.starts_with(**prefix)).max_by_key(|prefix| prefix.len());
    let kept = prefix.map_or(0, |prefix| prefix.len());
    let mut random = Random::default();
    let hex = text[kept..].bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let mut shaped = text[..kept].to_owned();
    let mut drawn = 0;
    for line in text[kept..].split_inclusive('\n') {
        // The first and last line of a PEM file (RFC 7468) say what it is, and nothing of the key.
        if line.starts_with("-----") {
            shaped.push_str(line);
            continue;
        }
        for c in line.chars() {
            let (new, random_one) = like(c, hex, &mut random);
            shaped.push(new);
            drawn += usize::from(random_one);
        }
    }
    if drawn >= FEWEST_RANDOM && shaped.as_bytes() != value {
        return shaped;
    }
    shapeless()
}

/// What stands for a value whose shape would tell too much of it.
pub(super) fn shapeless() -> String {
    let mut random = Random::default();
    let letters: String = (0..20).map(|_| random.of(LETTERS)).collect();
    format!("{SHAPELESS}{letters}")
}

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// A character of the same class, and whether chance chose it.
fn like(c: char, hex: bool, random: &mut Random) -> (char, bool) {
    match c {
        _ if hex && c.is_ascii_hexdigit() => (random.of(b"0123456789abcdef"), true),
        '0'..='9' => (random.of(b"0123456789"), true),
        'A'..='Z' => (random.of(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"), true),
        'a'..='z' => (random.of(b"abcdefghijklmnopqrstuvwxyz"), true),
        '-' | '_' | '.' | '\n' | '\r' => (c, false),
        _ => (random.of(LETTERS), true),
    }
}

/// Random characters without bias, by rejection.
#[derive(Default)]
struct Random {
    bytes: Zeroizing<Vec<u8>>,
}

impl Random {
    fn of(&mut self, alphabet: &[u8]) -> char {
        let bound = 256 - 256 % alphabet.len();
        loop {
            let byte = self.byte();
            if usize::from(byte) < bound {
                return char::from(alphabet[usize::from(byte) % alphabet.len()]);
            }
        }
    }

    fn byte(&mut self) -> u8 {
        if self.bytes.is_empty() {
            self.bytes.resize(64, 0);
            getrandom::fill(&mut self.bytes).expect("the operating system gives randomness");
        }
        self.bytes.pop().unwrap_or_default()
    }
}

/// A word of 32 random letters and digits, for credentials of a run.
pub(super) fn word() -> Zeroizing<String> {
    let mut random = Random::default();
    Zeroizing::new((0..32).map(|_| random.of(LETTERS)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_has_the_shape_of_its_value_and_nothing_else_of_it() {
        for (value, begins) in [
            ("sk-ant-api03-AbCdEf0123456789-AbCdEf_0123456789", "sk-ant-api03-"),
            ("sk-proj-AbCdEf0123456789AbCdEf0123456789", "sk-proj-"),
            ("ghp_0123456789abcdefABCDEF0123456789abcd", "ghp_"),
            ("github_pat_11ABCDEFG0123456789_abcdefghijklmnop", "github_pat_"),
            ("AKIAIOSFODNN7EXAMPLE", "AKIA"),
            ("xoxb-123456789012-123456789012-AbCdEfGhIjKlMnOp", "xoxb-"),
            ("glpat-AbCdEf0123456789abcd", "glpat-"),
            ("d41d8cd98f00b204e9800998ecf8427e", ""),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlLXNpZ25hdHVyZQ", "eyJ"),
        ] {
            let made = placeholder(value.as_bytes());
            assert_eq!(made.len(), value.len(), "{made}");
            assert!(made.starts_with(begins) && made != value, "{made}");
            assert_ne!(made, placeholder(value.as_bytes()));
            let class = |c: char| (c.is_ascii_digit(), c.is_ascii_uppercase(), c.is_ascii_lowercase());
            if !begins.is_empty() {
                assert!(made.chars().zip(value.chars()).all(|(a, b)| class(a) == class(b)), "{made}");
            } else {
                assert!(made.bytes().all(|b| b.is_ascii_hexdigit()), "{made}");
            }
        }
    }

    #[test]
    fn no_encoder_changes_a_placeholder() {
        for value in [
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY=",
            "p@$$ w0rd\"\\!&<ü>'12345",
            "hunter22",
            "\u{1}\u{2}",
        ] {
            let made = placeholder(value.as_bytes());
            assert!(made.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "{made}");
            assert!(made.len() >= FEWEST_RANDOM && !made.contains(value), "{made}");
        }
        let pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ==\n-----END PRIVATE KEY-----\n";
        let made = placeholder(pem.as_bytes());
        assert!(
            made.starts_with("-----BEGIN PRIVATE KEY-----\n")
                && made.ends_with("-----END PRIVATE KEY-----\n")
        );
        assert!(!made.contains("MIIEvQIBADANBg"));
    }
}
