//! What a `*` covers: never more than the place that its element names.
//!
//! An element that is a `*` alone, or an option with a `*` for its value (`--title=*`), names no place: it stands for
//! any text. Every other one names something, be it the directory of `reports/*.sql`, the one where the run starts
//! (`*.sql`), or the host of `https://*.example.com/*`; a call may fill it in, and may not get out of it.

use crate::names::glob_matches;

use super::typed::GUARDED;

/// How often percent-encoding may be nested before a text counts as one that hides something.
const ENCODED_TIMES: usize = 3;

/// Whether an element with a `*` covers an argument.
pub(super) fn covers(element: &str, argument: &str) -> bool {
    let led = argument.chars().next().filter(|c| GUARDED.contains(c));
    if led.is_some_and(|c| !element.starts_with(c)) || argument.contains('\0') {
        return false;
    }
    match (element.find("://"), names_no_place(element)) {
        (Some(at), _) => covers_url(element, at, argument),
        (None, true) => glob_matches(element, argument),
        (None, false) => glob_matches(element, argument) && stays(element, argument),
    }
}

/// An argument that an element covers.
pub(super) fn example(element: &str) -> String {
    let whole_host = element.find("://").map(|at| Url::parse(element, at)).is_some_and(|url| url.is_open());
    let element = if whole_host { &element[..element.len() - 1] } else { element };
    element.replace('*', "example")
}

/// Whether an element is any text: `*`, `--option=*`, `-o*`, or prose with a gap in it.
pub(super) fn names_no_place(element: &str) -> bool {
    let Some(before) = element.strip_suffix('*') else { return prose(element) };
    let option = before.starts_with('-') && !before.contains('*');
    let short = option && before.chars().count() <= 2;
    before.is_empty() || (option && (before.ends_with('=') || short)) || prose(element)
}

/// A text with spaces in what the policy wrote of it is no path and no address; one with a slash may be both.
fn prose(element: &str) -> bool {
    element.contains(' ') && !element.contains('/')
}

/// A path, or a host without a scheme: nothing in it climbs, begins at a root, names a scheme or another host.
fn stays(element: &str, argument: &str) -> bool {
    let more = |count: fn(&str) -> usize| count(argument) > count(element);
    let hosts = |text: &str| text.matches(['@', '?', '#', '\\']).count();
    let Some(decoded) = decode(argument) else { return false };
    !argument.contains(char::is_control)
        && !more(hosts)
        && !more(roots)
        && climbs(&decoded) <= climbs(element)
        && roots(&decoded) <= roots(element)
        && scheme(argument).is_none_or(|scheme| element.starts_with(scheme))
}

/// How many segments of a path are `..`, also of one that is glued to a short option.
fn climbs(text: &str) -> usize {
    let up = |text: &str| {
        text.split(['/', '\\', '?', '#', '=', ':', ',', ';']).filter(|segment| *segment == "..").count()
    };
    let glued = text.strip_prefix('-').and_then(|rest| rest.get(rest.chars().next()?.len_utf8()..));
    up(text).max(glued.map_or(0, up))
}

/// How often a path begins at the root or at a home: at the beginning, or behind what ends a name.
fn roots(text: &str) -> usize {
    let mut before = None;
    let mut found = 0;
    for (at, c) in text.char_indices() {
        let begins = before.is_none_or(|c| matches!(c, '=' | ':' | ',' | ';' | '@' | '<' | '>' | '|' | ' '))
            || (at == 2 && text.starts_with('-'));
        found += usize::from(begins && matches!(c, '/' | '~' | '\\'));
        before = Some(c);
    }
    found
}

/// `scheme:` at the beginning; a drive letter looks like one.
fn scheme(text: &str) -> Option<&str> {
    let at = text.find(':')?;
    let name = &text[..at];
    let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b));
    (name.starts_with(|c: char| c.is_ascii_alphabetic()) && letters).then(|| &text[..=at])
}

/// A text as whoever decodes it, once or more often, may read it. `None` where it is encoded deeper than anybody
/// has a reason for.
fn decode(text: &str) -> Option<String> {
    let mut now = text.as_bytes().to_vec();
    for _ in 0..=ENCODED_TIMES {
        let next = decode_once(&now);
        if next == now {
            return Some(String::from_utf8_lossy(&now).into_owned());
        }
        now = next;
    }
    None
}

fn decode_once(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, later)) = rest.split_first() {
        let digits = later.get(..2).filter(|_| *first == b'%');
        let byte = digits.and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        match byte.filter(|_| later[0] != b'+') {
            Some(byte) => {
                out.push(byte);
                rest = &later[2..];
            }
            None => {
                out.push(*first);
                rest = later;
            }
        }
    }
    out
}

/// An address, part by part: a `*` in one never stands for another.
struct Url<'a> {
    /// What stands before the scheme, as `--url=`.
    before: &'a str,
    scheme: &'a str,
    authority: &'a str,
    path: &'a str,
    /// With its `?` or `#`; empty where there is none.
    query: &'a str,
}

impl<'a> Url<'a> {
    fn parse(text: &'a str, at: usize) -> Self {
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-' | '*');
        let begin = text[..at]
            .rfind(|c| !letter(c))
            .map_or(0, |last| last + text[last..].chars().next().map_or(1, char::len_utf8));
        let rest = &text[at + 3..];
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()));
        let (path, query) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
        Self { before: &text[..begin], scheme: &text[begin..at], authority, path, query }
    }

    /// Whether a `*` stands right behind a whole host. It is for what follows that: a path, a query, nothing;
    /// another host it never is.
    fn is_open(&self) -> bool {
        let bare = self.path.is_empty() && self.query.is_empty();
        bare && self.authority.len() > 1 && self.authority.ends_with('*')
    }
}

fn covers_url(element: &str, at: usize, argument: &str) -> bool {
    let Some(argument_at) = argument.find("://") else { return false };
    // Readers of addresses drop tabs and line ends, take \ for /, and map letters to others in hosts.
    let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
    if argument.contains(odd) && !element.contains(odd) {
        return false;
    }
    let (own, theirs) = (Url::parse(element, at), Url::parse(argument, argument_at));
    let before = if own.before.contains('*') {
        glob_matches(own.before, theirs.before) && stays(own.before, theirs.before)
    } else {
        own.before == theirs.before
    };
    before && scheme_fits(own.scheme, theirs.scheme) && places_fit(&own, &theirs)
}

/// A scheme that a `*` stands for is one of the web's, never `file`.
fn scheme_fits(own: &str, theirs: &str) -> bool {
    let theirs = theirs.to_ascii_lowercase();
    let web = !own.contains('*') || matches!(theirs.as_str(), "http" | "https" | "ws" | "wss");
    web && glob_matches(&own.to_ascii_lowercase(), &theirs)
}

fn places_fit(own: &Url<'_>, theirs: &Url<'_>) -> bool {
    let any_host = own.authority == "*" && own.path.is_empty() && own.query.is_empty();
    let host = if own.is_open() { &own.authority[..own.authority.len() - 1] } else { own.authority };
    authority_fits(host, theirs.authority) && path_fits(own, theirs, any_host || own.is_open())
}

/// Names are compared as they are written: encoded, foreign or with a user in front they are another's.
fn authority_fits(own: &str, theirs: &str) -> bool {
    if own.eq_ignore_ascii_case(theirs) {
        return true;
    }
    let (own_host, own_port) = split_port(own);
    let (host, port) = split_port(theirs);
    let plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b));
    let port_fits = match (own_port, port) {
        (None, None) => true,
        (Some(own), Some(port)) => port.bytes().all(|b| b.is_ascii_digit()) && glob_matches(own, port),
        _ => false,
    };
    plain && port_fits && host_fits(&own_host.to_ascii_lowercase(), &host.to_ascii_lowercase())
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// `*.` in front stands for any subdomains, `*` alone for any host; elsewhere a `*` stays within its label.
fn host_fits(own: &str, theirs: &str) -> bool {
    if own == "*" {
        return !theirs.is_empty();
    }
    if let Some(below) = own.strip_prefix("*.").filter(|below| !below.contains('*')) {
        let front = theirs.strip_suffix(below).and_then(|front| front.strip_suffix('.'));
        return front.is_some_and(|front| front.split('.').all(|label| !label.is_empty()));
    }
    let (own, theirs): (Vec<&str>, Vec<&str>) = (own.split('.').collect(), theirs.split('.').collect());
    own.len() == theirs.len() && own.iter().zip(theirs).all(|(own, label)| glob_matches(own, label))
}

fn path_fits(own: &Url<'_>, theirs: &Url<'_>, open: bool) -> bool {
    let Some(decoded) = decode(theirs.path) else { return false };
    if climbs(&decoded) > climbs(own.path) || decoded.contains(['\\', '\0']) {
        return false;
    }
    if open {
        return true;
    }
    if !glob_matches(own.path, theirs.path) {
        return false;
    }
    match own.query {
        "" => theirs.query.is_empty() || own.path.ends_with('*'),
        query => glob_matches(query, theirs.query),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ways out of a place that were found, and their siblings.
    #[test]
    fn a_glob_stays_in_the_place_that_its_element_names() {
        for (element, argument, covered) in [
            ("*.sql", "a.sql", true),
            ("*.sql", "sub/a.sql", true),
            ("*.sql", "../other/x.sql", false),
            ("*.sql", "/abs/x.sql", false),
            ("*.sql", "~/x.sql", false),
            ("*.sql", "~root/x.sql", false),
            ("*.sql", "a/../../x.sql", false),
            ("*.sql", "%2e%2e/x.sql", false),
            ("*.sql", "..%2fx.sql", false),
            ("*.sql", "..%252fx.sql", false),
            ("*.sql", "%252e%252e%252fx.sql", false),
            ("*.sql", "%2fetc/x.sql", false),
            ("*.sql", "..\\x.sql", false),
            ("*.sql", "\\\\server\\x.sql", false),
            ("*.sql", "c:/x.sql", false),
            ("*.sql", "C:\\x.sql", false),
            ("*.sql", "file:/etc/x.sql", false),
            ("*.sql", "file:///etc/x.sql", false),
            ("*.sql", "https://evil.test/x.sql", false),
            ("*.sql", "a\n/etc/x.sql", false),
            ("*.sql", "a\0.sql", false),
            ("*.sql", "@x.sql", false),
            ("*.sql", "+x.sql", false),
            ("*.sql", "|x.sql", false),
            ("*.sql", "-x.sql", false),
            ("report-*", "report-a", true),
            ("report-*", "report-/../../etc/x", false),
            ("*/x.sql", "a/x.sql", true),
            ("*/x.sql", "/x.sql", false),
            ("*/x.sql", "../x.sql", false),
            ("/srv/*", "/srv/a", true),
            ("/srv/*", "/srv/../etc/passwd", false),
            ("--file=*.sql", "--file=a.sql", true),
            ("--file=*.sql", "--file=/abs/a.sql", false),
            ("--file=*.sql", "--file=../a.sql", false),
            ("--file=*.sql", "--file=~/a.sql", false),
            ("-f*.sql", "-fa.sql", true),
            ("-f*.sql", "-f/abs/a.sql", false),
            ("-f*.sql", "-f../a.sql", false),
            ("-f*.sql", "-fx/../a.sql", false),
            ("--title=*", "--title=/any/thing", true),
            ("fix: *", "fix: @somebody's #12", true),
            ("*", "https://example.com/", true),
            ("*", "/abs", true),
            ("*", "a\nb", true),
            ("*", "@file", false),
            ("*", "+cmd", false),
            ("*", "|cmd", false),
            ("*", "\\! env", false),
            ("*", "--option", false),
            ("@*", "@file", true),
            ("api.example.com*", "api.example.com/x", true),
            ("api.example.com*", "api.example.com@evil.test/", false),
            ("api.example.com*", "api.example.com#@evil.test/", false),
            ("*.example.com", "evil.test#.example.com", false),
            ("*.example.com", "evil.test?.example.com", false),
            ("http*", "http://evil.test/", false),
            ("f*", "file:/etc/passwd", false),
        ] {
            assert_eq!(covers(element, argument), covered, "{element} {argument:?}");
        }
    }

    #[test]
    fn addresses_are_matched_by_their_parts() {
        for (element, argument, covered) in [
            ("https://*.example.com/*", "https://api.example.com/x", true),
            ("https://*.example.com/*", "https://a.b.example.com/x?y=1", true),
            ("https://*.example.com/*", "https://evil.test/a.example.com/x", false),
            ("https://*.example.com/*", "https://evil.test?a.example.com/x", false),
            ("https://*.example.com/*", "https://evil.test#a.example.com/x", false),
            ("https://*.example.com/*", "https://evil.test\\a.example.com/x", false),
            ("https://*.example.com/*", "https://evil.test\\.example.com/x", false),
            ("https://*.example.com/*", "https://user@a.example.com/x", false),
            ("https://*.example.com/*", "https://evil.test:1@a.example.com/x", false),
            ("https://*.example.com/*", "https://.example.com/x", false),
            ("https://*.example.com/*", "https://evil.test%2f.example.com/x", false),
            ("https://*.example.com/*", "https://evil.test%23.example.com/x", false),
            ("https://*.example.com/*", "https://evil.test\u{ff0f}.example.com/x", false),
            ("https://*.example.com/*", "https://evil\u{3002}test.example.com.evil.test/x", false),
            ("https://*.example.com/*", "http://api.example.com/x", false),
            ("https://*.example.com/*", "HTTPS://API.example.com/x", true),
            ("https://*.example.com/*", "https://api.example.com:8443/x", false),
            ("https://api.example.com*", "https://api.example.com", true),
            ("https://api.example.com*", "https://api.example.com/x", true),
            ("https://api.example.com*", "https://api.example.com?x", true),
            ("https://api.example.com*", "https://api.example.com@evil.test/", false),
            ("https://api.example.com*", "https://api.example.com:x@evil.test/", false),
            ("https://api.example.com*", "https://api.example.com.evil.test/", false),
            ("https://api.example.com*", "https://api.example.community/", false),
            ("https://api.example.com*", "https://api.example.com:22/", false),
            ("https://api.example.com:*/x", "https://api.example.com:8080/x", true),
            ("https://api.example.com:*/x", "https://api.example.com:1@evil.test/x", false),
            ("https://api-*.example.com/", "https://api-1.example.com/", true),
            ("https://api-*.example.com/", "https://api-1.evil.test/.example.com/", false),
            ("https://api-*.example.com/", "https://api-a.b.example.com/", false),
            ("https://h/v1/*", "https://h/v1/a?b=c", true),
            ("https://h/v1/*", "https://h/v1/../admin", false),
            ("https://h/v1/*", "https://h/v1/%2e%2E/admin", false),
            ("https://h/v1/*", "https://h/v1/..%2fadmin", false),
            ("https://h/v1/*", "https://h/v1/%252e%252e/admin", false),
            ("https://h/v1/*", "https://h/v1/..\\admin", false),
            ("https://h/v1/*", "https://h/v1/.\t./admin", false),
            ("https://h/v1/*", "https://h\n/v1/x", false),
            ("https://h/v1/*/public", "https://h/v1/a/public", true),
            ("https://h/v1/*/public", "https://h/v1/admin?x=/public", false),
            ("https://h/v1/*/public", "https://h/v1/admin#/public", false),
            ("https://h/v1/*?page=*", "https://h/v1/a?page=2", true),
            ("https://h/v1/*?page=*", "https://h/v1/a?all=1&page=2", false),
            ("--url=https://h/*", "--url=https://h/x", true),
            ("--url=https://h/*", "--other=https://h/x", false),
            ("--url=https://h/*", "file:///etc/passwd#--url=https://h/x", false),
            ("*://h/*", "https://h/x", true),
            ("*://h/*", "file://h/x", false),
            ("https://*", "https://anything.test/x", true),
            ("https://*", "https://user@anything.test/x", false),
            ("https://[::1]/*", "https://[::1]/x", true),
            ("https://[::1]/*", "https://[::2]/x", false),
        ] {
            assert_eq!(covers(element, argument), covered, "{element} {argument:?}");
        }
    }
}
