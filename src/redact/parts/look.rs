//! Whether a text is a secret by what its place says of it, and by its look.

use super::leaf::{Extent, Sense};
use crate::redact::{
    strength::{self, PREFIXES},
    weak::{is_setting, stands_everywhere, weakness},
};

/// The fewest bytes of a part: a shorter one is found in output by chance, and tells little.
pub(super) const SHORTEST: usize = 6;
/// A line of a list of codes, or of a key, is one of many and may be shorter.
const SHORTEST_LINE: usize = 3;
/// A text that is random by itself has so many letters and digits in a row, at least.
pub(super) const RANDOM: usize = 16;
/// And so many bits: what is made of words and numbers has fewer.
const RANDOM_BITS: u32 = 64;
/// Longer than this nothing is a token: it is a document, of which only the parts count.
const LONGEST_TOKEN: usize = 16 * 1024;

/// Whether a leaf is a part.
pub(super) fn is_part(sense: Sense, extent: Extent, text: &str) -> bool {
    let text = text.trim();
    let one_of_many = matches!((sense, extent), (Sense::Secret, Extent::Line | Extent::KeyLine));
    let shortest = if one_of_many { SHORTEST_LINE } else { SHORTEST };
    if text.len() < shortest || is_reference(text) {
        return false;
    }
    match sense {
        Sense::Plain => has_prefix(text) && is_random(text),
        Sense::Open => is_random(text),
        Sense::Likely => weakness(text.as_bytes()).is_none() && !is_public(text),
        Sense::Secret => !stands_everywhere(text.as_bytes()) && !is_switch(text),
    }
}

/// Whether a text is random by itself: letters, capitals and digits change places in it as in a key.
pub(super) fn is_random(text: &str) -> bool {
    let token = |c: char| c.is_ascii_graphic();
    if text.len() < RANDOM || text.len() > LONGEST_TOKEN || !text.chars().all(token) || is_public(text) {
        return false;
    }
    let symbols: Vec<u8> = text.bytes().filter(u8::is_ascii_alphanumeric).collect();
    symbols.windows(RANDOM).any(looks_random)
        && !is_setting(text.as_bytes())
        && strength::bits(text.as_bytes()) >= RANDOM_BITS
}

/// Whether letters, capitals and digits change places as they do in a key and not in a word or a path.
pub(crate) fn looks_random(symbols: &[u8]) -> bool {
    let class = |byte: u8| (byte.is_ascii_digit(), byte.is_ascii_uppercase());
    symbols.windows(2).filter(|pair| class(pair[0]) != class(pair[1])).count() >= 5
        && symbols.iter().any(u8::is_ascii_digit)
}

fn has_prefix(text: &str) -> bool {
    PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}

/// Digests, and the public halves of keys as OpenSSH writes them (RFC 4253, section 6.6).
fn is_public(text: &str) -> bool {
    const BEGINNINGS: [&str; 12] = [
        "age1",
        "sha1:",
        "sha1-",
        "sha256:",
        "sha256-",
        "sha384-",
        "sha512-",
        "SHA256:",
        "md5:",
        "AAAAB3NzaC1",
        "AAAAC3NzaC1",
        "AAAAE2VjZHNh",
    ];
    BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
}

/// What stands for a secret and is none: `${NAME}`, `{{ name }}`, `<your token>`, `op://vault/item`.
fn is_reference(text: &str) -> bool {
    const SCHEMES: [&str; 6] = ["op://", "arn:aws", "vault:secret/", "secretref:", "env:", "projects/"];
    let between = |open: &str, close: &str| {
        let inside = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        inside.is_some_and(|inside| inside.chars().all(|c| c.is_alphanumeric() || " ._-:/|$\"'".contains(c)))
    };
    let words = |open: &str, close: &str| {
        let inside = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        inside.is_some_and(|inside| inside.chars().all(|c| c.is_alphabetic() || " _-".contains(c)))
    };
    let variable = text.strip_prefix('$').is_some_and(|name| {
        name.chars().all(|c| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit())
            && name.starts_with(|c: char| c.is_ascii_uppercase())
    });
    between("${", "}")
        || between("{{", "}}")
        || between("$(", ")")
        || words("<", ">")
        || words("%", "%")
        || variable
        || SCHEMES.iter().any(|scheme| text.starts_with(scheme))
}

/// Words that switch something on or say where a secret is.
fn is_switch(text: &str) -> bool {
    const SWITCHES: [&str; 14] = [
        "always",
        "bearer",
        "default",
        "enabled",
        "hidden",
        "keychain",
        "keyring",
        "optional",
        "prompt",
        "redacted",
        "required",
        "changed",
        "basic_auth",
        "example",
    ];
    let lower = text.to_ascii_lowercase();
    SWITCHES.contains(&lower.as_str()) || text.chars().all(|c| "*•.x-".contains(c))
}
