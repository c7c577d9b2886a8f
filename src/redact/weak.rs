//! Values that can't be kept out of output: too short, or so common that masking them would mask
//! ordinary words, and leaving them would tell them.

use std::{collections::BTreeSet, fmt};

/// The shortest value that is taken without `--allow-weak`, in bytes.
const SHORTEST: usize = 8;
/// The fewest different bytes that such a value has.
const FEWEST_DIFFERENT: usize = 4;

/// Why a value can't be kept out of output; completes "the value …".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// No bytes at all.
    Empty,
    /// Fewer than eight bytes.
    Short,
    /// White space only.
    Blank,
    /// The same few bytes over and over.
    Monotonous,
    /// A word or password that everybody tries, or a plain setting.
    Common,
    /// Digits that count.
    Sequence,
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::Short => "is shorter than 8 bytes",
            Self::Blank => "is nothing but white space",
            Self::Monotonous => "has fewer than 4 different bytes",
            Self::Common => "is a word that output has for other reasons, or that everybody tries first",
            Self::Sequence => "is a plain sequence",
        })
    }
}

/// Words of eight bytes and more that are settings, placeholders or the passwords tried first.
const COMMON: &[&str] = &[
    "administrator",
    "changeit",
    "changeme",
    "changeme123",
    "database",
    "debugging",
    "default123",
    "development",
    "disabled",
    "dummydummy",
    "elasticsearch",
    "example123",
    "football",
    "iloveyou",
    "internal",
    "localhost",
    "localhost:3000",
    "localhost:5432",
    "longpassword",
    "mongodb1",
    "mysecret",
    "mysecretpassword",
    "not-a-secret",
    "p@ssw0rd",
    "p@ssword",
    "passw0rd",
    "password",
    "password1",
    "password12",
    "password123",
    "password1234",
    "placeholder",
    "postgres",
    "postgresql",
    "princess",
    "production",
    "qwertyui",
    "qwertyuiop",
    "secret123",
    "secretsecret",
    "sunshine",
    "superman",
    "supersecret",
    "test1234",
    "testtest",
    "topsecret",
    "trustno1",
    "undefined",
    "welcome1",
    "your-api-key",
    "your-secret",
    "yourpassword",
    "your_api_key",
];

/// Judges a value; `None` is good.
pub fn weakness(value: &[u8]) -> Option<Weakness> {
    if value.is_empty() {
        return Some(Weakness::Empty);
    }
    let trimmed = value.trim_ascii();
    if trimmed.is_empty() {
        return Some(Weakness::Blank);
    }
    if trimmed.len() < SHORTEST {
        return Some(Weakness::Short);
    }
    if trimmed.iter().collect::<BTreeSet<_>>().len() < FEWEST_DIFFERENT {
        return Some(Weakness::Monotonous);
    }
    let lower = trimmed.to_ascii_lowercase();
    if COMMON.iter().any(|word| word.as_bytes() == lower) {
        return Some(Weakness::Common);
    }
    let step = |pair: &[u8]| i16::from(pair[1]) - i16::from(pair[0]);
    let first = step(&lower[..2]);
    let counts = first.abs() <= 1 && lower.windows(2).all(|pair| step(pair) == first);
    let wraps = lower.iter().enumerate().all(|(i, b)| *b == b'0' + u8::try_from((i + 1) % 10).unwrap_or(0));
    (counts || wraps).then_some(Weakness::Sequence)
}
