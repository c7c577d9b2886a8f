//! Values that `admin set` takes only with `--allow-weak`: too short, or so easy to guess that output has them
//! for other reasons, so that masking them would mask ordinary words, and leaving them would tell them.

use std::{collections::BTreeSet, fmt};

use jiff::civil::Date;

use super::strength;

/// The shortest value that is taken without `--allow-weak`, in bytes.
const SHORTEST: usize = 8;
/// The fewest different bytes that such a value has.
const FEWEST_DIFFERENT: usize = 4;
/// The fewest bits: two words, or a word and a number, have less.
const FEWEST_BITS: u32 = 30;
/// What is longer than this stands nowhere by chance, however plain it is.
const LONGEST_PLAIN: usize = 128;

/// Why a value can't be kept out of output; completes "the value …".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weakness {
    /// No bytes at all.
    Empty,
    /// Fewer than eight bytes.
    Short,
    /// White space only.
    Blank,
    /// The same few bytes over and over.
    Monotonous,
    /// Words, dates or numbers that everybody tries, or a plain setting.
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
            Self::Common => {
                "is made of words, dates or settings that output has for other reasons, or that everybody tries first"
            }
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
pub(crate) fn weakness(value: &[u8]) -> Option<Weakness> {
    let trimmed = value.trim_ascii();
    early(value).or_else(|| {
        let short = trimmed.len() <= LONGEST_PLAIN;
        let easy = || strength::bits(trimmed) < FEWEST_BITS || is_setting(trimmed);
        (short && easy()).then_some(Weakness::Common)
    })
}

/// Whether a part of a value is too short or too common to be looked for by itself.
pub(super) fn is_found_everywhere(value: &[u8]) -> bool {
    early(value).is_some()
}

/// Whether a part of a value, of whatever length, is one that output has for other reasons.
pub(super) fn stands_everywhere(value: &[u8]) -> bool {
    matches!(early(value), Some(weakness) if weakness != Weakness::Short)
        || std::str::from_utf8(value).is_ok_and(|text| [is_path, is_link].iter().any(|is| is(text)))
}

/// What needs no estimate.
fn early(value: &[u8]) -> Option<Weakness> {
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

/// Whether a value has the shape of a setting, whatever words it is made of: a locale, a region, a media type, a
/// version, an address, a host's name, a path.
pub(super) fn is_setting(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    [is_locale, is_region, is_media_type, is_address, is_host, is_path, is_link, is_time, is_name]
        .iter()
        .any(|is| is(text))
}

fn all(text: &str, is: fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(is)
}

fn is_word(text: &str) -> bool {
    all(text, |c| c.is_ascii_alphabetic())
}

/// `en_US.UTF-8`, `sr_RS@latin`.
fn is_locale(text: &str) -> bool {
    let (place, more) = text.split_once(['.', '@']).unwrap_or((text, "x"));
    let Some((language, country)) = place.split_once('_') else { return false };
    matches!(language.len(), 2 | 3)
        && is_word(language)
        && country.len() == 2
        && is_word(country)
        && more.len() <= 12
        && all(more, |c| c.is_ascii_alphanumeric() || c == '-')
}

/// `us-east-1`, `europe-west1-b`, `us-gov-west-1`.
fn is_region(text: &str) -> bool {
    let ways = ["north", "south", "east", "west", "central"];
    let way = |part: &str| ways.iter().any(|way| part.starts_with(way));
    let parts: Vec<&str> = text.split('-').collect();
    let short = |part: &&str| part.len() <= 12 && all(part, |c| c.is_ascii_lowercase() || c.is_ascii_digit());
    (2..=5).contains(&parts.len())
        && parts.iter().all(short)
        && parts[1..].iter().any(|part| way(part))
        && parts.iter().all(|part| part.chars().filter(char::is_ascii_digit).count() <= 1)
}

/// `application/json`, `image/svg+xml; charset=utf-8` (RFC 9110, section 8.3.1).
fn is_media_type(text: &str) -> bool {
    const TYPES: [&str; 10] = [
        "application",
        "audio",
        "example",
        "font",
        "haptics",
        "image",
        "message",
        "model",
        "multipart",
        "text",
    ];
    let (kind, parameters) = text.split_once(';').unwrap_or((text, ""));
    let Some((top, sub)) = kind.trim().split_once('/') else { return false };
    TYPES.contains(&top) && sub.len() <= 80 && parameters.len() <= 40
}

/// An IP address, also with a port or the length of a network; a version of digits alone.
fn is_address(text: &str) -> bool {
    let bare = text.split_once('/').map_or(text, |(address, _)| address);
    let dotted = all(text, |c| c.is_ascii_digit() || c == '.' || c == ':') && text.contains(['.', ':']);
    dotted || bare.parse::<std::net::IpAddr>().is_ok() || text.parse::<std::net::SocketAddr>().is_ok()
}

/// A host's name, also with a port, a user before it, or in a URL without anything behind it.
fn is_host(text: &str) -> bool {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest).trim_end_matches('/');
    let text = text.rsplit_once('@').filter(|(user, _)| !user.contains(':')).map_or(text, |(_, host)| host);
    let host =
        text.rsplit_once(':').filter(|(_, port)| all(port, |c| c.is_ascii_digit())).map_or(text, |(h, _)| h);
    let labels: Vec<&str> = host.split('.').collect();
    let label = |part: &&str| part.len() <= 24 && all(part, |c| c.is_ascii_alphanumeric() || c == '-');
    let last = labels.last().copied().unwrap_or_default();
    (labels.len() > 1 || last == "localhost")
        && labels.iter().all(label)
        && is_word(last)
        && strength::bits(host.as_bytes()) < strength::GUESSABLE_BELOW
}

/// A URL of which no part is a secret: no user, and words alone behind the host.
fn is_link(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let (host, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let plain = |part: &str| strength::bits(part.as_bytes()) < FEWEST_BITS;
    is_word(scheme)
        && !host.contains('@')
        && (is_host(host) || is_address(host))
        && behind.split(['/', '?', '#', '&', '=']).all(plain)
}

/// `2026-11-26T10:00:00Z`, `2026-11-26 10:00:00.123+01:00` (RFC 3339), `Thu, 26 Nov 2026 10:00:00 GMT` (RFC 9110).
fn is_time(text: &str) -> bool {
    let iso = text.get(..10).is_some_and(|day| day.parse::<Date>().is_ok())
        && all(text, |c| c.is_ascii_digit() || "-:.TtZz+ ".contains(c));
    let parts: Vec<&str> = text.split([' ', ',', ':', '+', '-']).filter(|part| !part.is_empty()).collect();
    let words = parts.iter().filter(|part| is_word(part));
    let short =
        parts.iter().all(|part| part.len() <= 4 && (is_word(part) || all(part, |c| c.is_ascii_digit())));
    iso || (short && parts.len() >= 6 && words.count() >= 2)
}

/// Words of which names are made.
const NAMING: &[&str] = &[
    "account",
    "acme",
    "admin",
    "api",
    "app",
    "application",
    "backend",
    "backup",
    "bucket",
    "build",
    "client",
    "cluster",
    "company",
    "config",
    "corp",
    "customer",
    "data",
    "database",
    "db",
    "default",
    "demo",
    "deploy",
    "dev",
    "development",
    "env",
    "environment",
    "example",
    "frontend",
    "group",
    "host",
    "inc",
    "internal",
    "job",
    "key",
    "main",
    "manager",
    "my",
    "name",
    "node",
    "org",
    "organization",
    "our",
    "policy",
    "prod",
    "production",
    "project",
    "queue",
    "release",
    "role",
    "sample",
    "secret",
    "server",
    "service",
    "settings",
    "staging",
    "storage",
    "svc",
    "system",
    "table",
    "team",
    "test",
    "the",
    "token",
    "user",
    "value",
    "web",
    "worker",
    "your",
];
/// More words are a passphrase.
const MOST_WORDS: usize = 4;

/// `My-Company-Name`, `backup_service_account`, `ProductionDatabaseServer`: words, most of them such as names have.
fn is_name(text: &str) -> bool {
    let mut words: Vec<String> = Vec::new();
    for part in text.split(['-', '_', '.', ' ']) {
        for (at, c) in part.char_indices() {
            if at == 0
                || (c.is_ascii_uppercase()
                    && part[..at].ends_with(|before: char| before.is_ascii_lowercase()))
            {
                words.push(String::new());
            }
            words.last_mut().expect("one was begun").push(c.to_ascii_lowercase());
        }
    }
    let naming = words.iter().filter(|word| NAMING.contains(&word.as_str())).count();
    words.len() <= MOST_WORDS && words.iter().all(|word| is_word(word)) && naming * 2 > words.len()
}

/// An absolute path, or one below HOME, of words.
fn is_path(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('/').or_else(|| text.strip_prefix("~/")) else { return false };
    let plain = |part: &str| strength::bits(part.as_bytes()) < FEWEST_BITS;
    text.len() <= 200 && rest.contains('/') && rest.split('/').all(plain)
}
