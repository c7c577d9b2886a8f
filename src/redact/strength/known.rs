//! What of a value is no secret: how keys of a vendor begin, what stands in every file of its kind, and the
//! frame around the secret in a URL, a JSON document or a list of settings.

use std::ops::Range;

use memchr::memmem;

/// What keys begin with, as their vendors publish it; of several that fit, the longest counts.
pub(crate) const PREFIXES: &[&str] = &[
    "AIza",
    "AKIA",
    "ASIA",
    "SG.",
    "SK",
    "dckr_pat_",
    "dop_v1_",
    "eyJ",
    "figd_",
    "gho_",
    "ghp_",
    "ghr_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "gldt-",
    "glpat-",
    "gsk_",
    "hf_",
    "hvs.",
    "key-",
    "lin_api_",
    "npm_",
    "ntn_",
    "pk_live_",
    "pk_test_",
    "pplx-",
    "pypi-",
    "r8_",
    "rk_live_",
    "rk_test_",
    "secret_",
    "shpat_",
    "sk-",
    "sk-ant-",
    "sk-ant-api03-",
    "sk-or-v1-",
    "sk-proj-",
    "sk-svcacct-",
    "sk_live_",
    "sk_test_",
    "tvly-",
    "whsec_",
    "xai-",
    "xapp-",
    "xoxa-",
    "xoxb-",
    "xoxp-",
    "ya29.",
];

/// How the base64 of a key file or a token begins, whatever the key: DER of RSA and EC keys (RFC 8017, 5915,
/// 5958), OpenSSH's own format without a passphrase.
const BEGINNINGS: &[&str] = &[
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ",
    "MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQ",
    "MIIJQgIBADANBgkqhkiG9w0BAQEFAASCCSwwggkoAgEAAoICAQ",
    "MIIEpAIBAAKCAQEA",
    "MIIEowIBAAKCAQEA",
    "MIIJKQIBAAKCAgEA",
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg",
    "MHcCAQEEI",
    "MC4CAQAwBQYDK2VwBCIEI",
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAA",
];

/// What stands in the base64 of many keys wherever they begin, at each of its alignments: the names of algorithms in
/// OpenSSH's keys (RFC 4253, 8709, 5656), the object identifiers of RSA, of password-based encryption and of EC keys.
const FRAGMENTS: &[&str] = &[
    "AAAAC3NzaC1lZDI1NTE5AAAAI",
    "AAAAtzc2gtZWQyNTUxOQAAACB",
    "AAAALc3NoLWVkMjU1MTkAAAAg",
    "AAAAB3NzaC1yc2EAAAADAQAB",
    "AAAAdzc2gtcnNhAAAAAwEAAQ",
    "AAAAHc3NoLXJzYQAAAAMBAAE",
    "ZWNkc2Etc2hhMi1uaXN0cDI1NgAAAAhuaXN0cDI1Ng",
    "VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTY",
    "lY2RzYS1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2",
    "BgkqhkiG9w0BAQEFAASC",
    "BgkqhkiG9w0BBQ",
    "GCSqGSIb3DQEFDTB",
    "KoZIhvcNAQUNMEEwKQYJKoZIhvcNAQUMMBwECI",
    "BgcqhkjOPQIBBggqhkjOPQMBBw",
];

/// What a text has in common with others of its kind, so that no piece of it tells which one it is.
pub(crate) fn common(text: &[u8]) -> Vec<Range<usize>> {
    let begins = BEGINNINGS.iter().filter(|it| text.starts_with(it.as_bytes())).map(|it| 0..it.len());
    let fragments = FRAGMENTS.iter().flat_map(|it| {
        memmem::find_iter(text, it.as_bytes()).map(|at| at..at + it.len()).collect::<Vec<_>>()
    });
    begins.chain(fragments).chain(jwt_header(text)).chain(boundaries(text)).collect()
}

/// The parts of a text that whoever guesses knows.
pub(super) fn ranges(text: &[u8]) -> Vec<Range<usize>> {
    let mut known = Vec::new();
    let begins =
        |all: &[&str]| all.iter().filter(|it| text.starts_with(it.as_bytes())).map(|it| it.len()).max();
    known.extend(begins(PREFIXES).map(|length| 0..length));
    known.extend(begins(BEGINNINGS).map(|length| 0..length));
    known.extend(jwt_header(text));
    known.extend(boundaries(text));
    if let Some(secret) = in_url(text).or_else(|| in_json(text)).or_else(|| in_settings(text)) {
        known.extend([0..secret.start, secret.end..text.len()]);
    }
    known
}

/// `eyJhbGciOiJIUzI1NiJ9.`: the header of a token (RFC 7519) is the same for all of its kind.
fn jwt_header(text: &[u8]) -> Option<Range<usize>> {
    let dot = text.starts_with(b"eyJ").then(|| memchr::memchr(b'.', text))??;
    Some(0..dot)
}

/// PEM's first and last line (RFC 7468, section 2).
fn boundaries(text: &[u8]) -> Vec<Range<usize>> {
    let starts = memmem::find_iter(text, b"-----BEGIN ").chain(memmem::find_iter(text, b"-----END "));
    starts.map(|at| at..memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |length| at + length)).collect()
}

/// In `scheme://user:password@host/path?query` the password; else the user or what the query sets, whichever is harder
/// to guess (`postgresql://app@/shop?password=…`); else what stands behind the host.
fn in_url(text: &[u8]) -> Option<Range<usize>> {
    let start = memmem::find(text, b"://")?;
    let scheme = &text[..start];
    if scheme.is_empty() || !scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.:".contains(byte))
    {
        return None;
    }
    let start = start + 3;
    let end = text[start..].iter().position(|byte| b"/?#".contains(byte)).map_or(text.len(), |at| start + at);
    let Some(at) = memchr::memrchr(b'@', &text[start..end]).map(|at| start + at) else {
        return Some(end..text.len());
    };
    let colon = memchr::memchr(b':', &text[start..at]).map_or(start, |colon| start + colon + 1);
    if start < colon && colon < at {
        return Some(colon..at);
    }
    hardest(text, std::iter::once(start..at).chain(set_by_query(text, end)).collect())
}

/// What stands behind the signs of equality in the query and fragment of a URL.
fn set_by_query(text: &[u8], from: usize) -> impl Iterator<Item = Range<usize>> {
    let query = memchr::memchr2(b'?', b'#', &text[from..]).map_or(text.len(), |at| from + at);
    let equals = memchr::memchr_iter(b'=', &text[query..]).map(move |at| query + at + 1);
    equals.map(|value| {
        let ends = text[value..].iter().position(|byte| b"&;#".contains(byte));
        value..ends.map_or(text.len(), |length| value + length)
    })
}

/// In a JSON document, the string that is hardest to guess.
fn in_json(text: &[u8]) -> Option<Range<usize>> {
    let trimmed = text.trim_ascii_start();
    if !matches!(trimmed.first()?, b'{' | b'[') || memchr::memchr(b'"', trimmed).is_none() {
        return None;
    }
    hardest(text, strings(text))
}

fn strings(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = None;
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate() {
        match (start, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(from), b'"') => {
                found.push(from..at);
                start = None;
            }
            (None, b'"') => start = Some(at + 1),
            _ => {}
        }
    }
    found
}

/// In `KEY=value` lines or `Key=value;` parts, the value that is hardest to guess.
fn in_settings(text: &[u8]) -> Option<Range<usize>> {
    let mut found = Vec::new();
    let (mut at, mut loud) = (0, true);
    for part in text.split(|byte| b"\n;".contains(byte)) {
        let from = at;
        at += part.len() + 1;
        if part.trim_ascii().is_empty() || part.starts_with(b"#") {
            continue;
        }
        let equals = memchr::memchr(b'=', part)?;
        let (key, value) = (part[..equals].trim_ascii(), &part[equals + 1..]);
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-. ".contains(byte);
        // Padding of base64 is no value.
        if key.is_empty() || !key.iter().all(plain) || !value.iter().any(u8::is_ascii_alphanumeric) {
            return None;
        }
        loud &= key.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
        found.push(from + equals + 1..from + part.len());
    }
    // One lower-case word before a sign of equality is as likely a part of a password.
    if loud || found.len() > 1 { hardest(text, found) } else { None }
}

fn hardest(text: &[u8], parts: Vec<Range<usize>>) -> Option<Range<usize>> {
    let cost = |part: &Range<usize>| super::costs::costs_of(&text[part.clone()]);
    parts.into_iter().max_by(|a, b| cost(a).total_cmp(&cost(b)))
}
