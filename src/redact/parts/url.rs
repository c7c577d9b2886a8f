//! URLs (RFC 3986) and what looks like one: user, password, path, query and fragment of each; JDBC, and forms
//! without a scheme (`user:password@host`, `user:password@tcp(host)/db`).

use zeroize::Zeroizing;

use super::{
    body::Writing,
    keys::{self, shown_key},
    leaf::{Leaf, Read, Sense},
};

/// A host's name is seldom as long as a login in base64.
const SHORTEST_ENCODED: usize = 16;

/// A text that is made of URLs: one, a list, a line each.
pub(super) fn urls(text: &str, sense: Sense) -> Option<Read> {
    if !text.contains("://") && !text.contains('@') {
        return None;
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let lists = |word: &'_ str| word.split(',').filter(|url| url.contains("://")).count() > 1;
    let mut leaves = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let before = if words.len() > 1 { format!("URL {}: ", at + 1) } else { String::new() };
        let parts: Vec<&str> = if lists(word) { word.split(',').collect() } else { vec![word] };
        for part in parts {
            let found = url(part, sense).or_else(|| bare(part, sense))?;
            leaves.extend(
                found.into_iter().map(|leaf| Leaf { place: format!("{before}{}", leaf.place), ..leaf }),
            );
        }
    }
    Some(Read::Leaves(leaves))
}

fn url(text: &str, sense: Sense) -> Option<Vec<Leaf>> {
    let (scheme, rest) = text.split_once("://")?;
    let in_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.:".contains(c);
    if scheme.is_empty()
        || !scheme.chars().all(in_scheme)
        || !scheme.starts_with(|c: char| c.is_ascii_alphabetic())
    {
        return None;
    }
    let (authority, behind) = split_authority(rest);
    let mut leaves = Vec::new();
    if let Some((userinfo, host)) = authority.rsplit_once('@')
        && !is_digest(host)
    {
        of_userinfo(&mut leaves, userinfo);
    } else if authority.len() >= SHORTEST_ENCODED && encoded(authority).is_some() {
        leaves.push(Leaf::new("authority of the URL", Sense::Open, authority));
    }
    // `jdbc:sqlserver://host;user=sa;password=…`
    let settings = authority.split_once(';').map(|(_, settings)| settings);
    let (front, fragment) = behind.split_once('#').unwrap_or((behind, ""));
    let (path, query) = front.split_once('?').unwrap_or((front, ""));
    for segment in path.split('/') {
        leaves.push(Leaf::new("path of the URL", Sense::Open, segment));
    }
    for (what, pairs) in [("parameter", settings.unwrap_or("")), ("query", query), ("fragment", fragment)] {
        of_pairs(&mut leaves, what, pairs, sense);
    }
    Some(leaves)
}

/// The authority ends where the path begins; a password with a slash, a question or a number mark that nobody
/// escaped still ends at the last `@` before the query's end.
fn split_authority(rest: &str) -> (&str, &str) {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    let port = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let user = authority.split_once(':').filter(|(user, open)| !user.is_empty() && !port(open));
    match (authority.contains('@'), user, behind.rfind('@')) {
        (false, Some(_), Some(at)) => {
            let behind_at = end + at + 1;
            let host = rest[behind_at..].find(['/', '?', '#']).map_or(rest.len(), |end| behind_at + end);
            rest.split_at(host)
        }
        _ => (authority, behind),
    }
}

/// `docker-image://alpine:3.20@sha256:…`: a version, not a password.
fn is_digest(host: &str) -> bool {
    ["sha256:", "sha384:", "sha512:"].iter().any(|digest| host.starts_with(digest))
}

fn of_userinfo(leaves: &mut Vec<Leaf>, userinfo: &str) {
    match userinfo.split_once(':') {
        // A token in the place of the user, with a word for a password or none: GitHub, Stripe, Sentry.
        Some((user, password)) => {
            leaves.push(Leaf::new("password of the URL", Sense::Secret, password));
            leaves.push(Leaf::new("user of the URL", Sense::Open, user));
        }
        None => match encoded(userinfo).filter(|text| text.contains(':')) {
            Some(credentials) => {
                leaves.push(Leaf::new("user and password of the URL", Sense::Secret, userinfo));
                of_userinfo(leaves, &credentials);
            }
            None => leaves.push(Leaf::new("user of the URL", Sense::Open, userinfo)),
        },
    }
}

/// What proxies have in base64 where others have it as it is: `ss://BASE64@host` (SIP002), `ss://BASE64`, `vmess://BASE64`.
fn encoded(text: &str) -> Option<Zeroizing<String>> {
    let bytes = Writing::Base64.decode(text)?;
    let decoded = std::str::from_utf8(&bytes).ok()?;
    let printable = |c: char| !c.is_control() || c.is_whitespace();
    decoded.chars().all(printable).then(|| Zeroizing::new(decoded.to_owned()))
}

fn of_pairs(leaves: &mut Vec<Leaf>, what: &str, pairs: &str, sense: Sense) {
    for pair in pairs.split(['&', ';']).filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some((key, value)) => {
                leaves.push(Leaf::new(
                    format!("{what} {} of the URL", shown_key(key)),
                    keys::says(key),
                    value,
                ));
            }
            None => leaves.push(Leaf::new(format!("{what} of the URL"), sense.min(Sense::Open), pair)),
        }
    }
}

/// `user:password@host:port/path`, as drivers and proxies take it; Oracle's `user/password@host`.
fn bare(text: &str, sense: Sense) -> Option<Vec<Leaf>> {
    let oracle = text.rsplit_once(":thin:").map(|(_, rest)| rest);
    let (userinfo, behind) = oracle.unwrap_or(text).rsplit_once('@')?;
    let host = |c: char| c.is_ascii_alphanumeric() || ".-_:()[]/?=&,".contains(c);
    if behind.is_empty()
        || !behind.chars().all(host)
        || !behind.starts_with(|c: char| c.is_ascii_alphanumeric() || "[(/".contains(c))
    {
        return None;
    }
    if is_digest(behind) {
        return None;
    }
    let mark = if oracle.is_some() { '/' } else { ':' };
    let (user, password) = userinfo.split_once(mark)?;
    let name = |c: char| c.is_ascii_alphanumeric() || "_-.%\\".contains(c);
    if user.is_empty() || password.is_empty() || !user.chars().all(name) {
        return None;
    }
    let mut leaves = vec![
        Leaf::new("password before the host", Sense::Secret, password),
        Leaf::new("user before the host", Sense::Open, user),
    ];
    if let Some((_, query)) = behind.split_once('?') {
        of_pairs(&mut leaves, "query", query, sense);
    }
    Some(leaves)
}
