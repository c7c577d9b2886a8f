//! Bodies on their way to a host whose rule names methods: a field that makes the request one of another method ends it.
//! Frameworks read such a field from the query, from a form, from the parts of one (Rack, Rails, Symfony), and from JSON
//! (Laravel, method-override behind a parser, Parse Server, which reads it whatever the type says).

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::{
    body::{Body, BoxError},
    json_keys::JsonKeys,
    refusal::{self, Refusal},
};

/// So much is read of a field's name, however it is encoded: more than those have that are looked for, all of it encoded
/// twice. Of a longer one its beginning decides.
const LONGEST_NAME: usize = 512;
/// Blanks, as a form has them: PHP leaves them out before a name.
const BLANKS: &[&[u8]] = &[b"+", b" ", b"\t", b"\r", b"\n", b"%20", b"%09", b"%0a", b"%0d", b"%2520"];
/// The names without their signs, of which the rest of a long one may be left out by who reads it.
const BEGINNINGS: &[&str] = &["method", "httpmethod", "xhttpmethod", "xmethod"];
/// Compressed bodies of these are no forms and no JSON: git's, and those in frames.
const COMPRESSED: &[&str] = &["application/x-git-", "application/grpc", "application/x-protobuf"];
/// As what JSON and forms are read by those that look for such fields, beside what is named nowhere.
const CHARSETS: &[&str] = &["utf-8", "utf8", "us-ascii", "iso-8859-1", "latin1"];
/// A line that describes a part is no longer than this.
const LONGEST_LINE: usize = 8 << 10;
const DESCRIBES: &[u8] = b"content-disposition";

/// Whether a field of this name makes a request one of another method: `_method`, `X-HTTP-Method-Override` and their like,
/// in whatever spelling a framework takes for it (PHP reads `.method` and ` method` as `_method`).
pub(super) fn overrides(name: &[u8]) -> bool {
    let spaced: Vec<u8> = name.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    readings(&spaced).iter().any(|name| is_override(name))
}

fn is_override(name: &[u8]) -> bool {
    // What is written in C ends a name there (PHP).
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let word: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    // A plain `method` is many things; one that is marked as no field of the form's own is this.
    let marked = name.starts_with(|c: char| !c.is_ascii_alphanumeric());
    (marked && matches!(word.as_str(), "method" | "httpmethod"))
        || word.contains("methodoverride")
        || word.contains("xhttpmethod")
}

/// Whether a name that is longer than what is read of it may be one of those.
fn begins_override(name: &[u8]) -> bool {
    let word = |name: &[u8]| -> String {
        name.iter()
            .filter(|b| b.is_ascii_alphanumeric())
            .map(|b| char::from(b.to_ascii_lowercase()))
            .collect()
    };
    let mut words = readings(name).into_iter().map(|name| word(&name));
    words.any(|word| BEGINNINGS.iter().any(|start| word.starts_with(start)))
}

fn without_blanks(mut name: &[u8]) -> &[u8] {
    let blank = |name: &[u8]| {
        let begins =
            |blank: &&&[u8]| name.get(..blank.len()).is_some_and(|start| start.eq_ignore_ascii_case(blank));
        BLANKS.iter().find(begins).map(|blank| blank.len())
    };
    while let Some(length) = blank(name) {
        name = &name[length..];
    }
    name
}

/// A text without its percent-encoding (RFC 3986, section 2.1).
pub(super) fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let two = after.first_chunk::<2>().and_then(|[a, b]| Some(digit(a)? << 4 | digit(b)?));
        let byte = two.filter(|_| *first == b'%').and_then(|byte| u8::try_from(byte).ok());
        plain.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    plain
}

/// A field's name as a server may read it: decoded, and decoded again where another did so before it.
pub(super) fn readings(name: &[u8]) -> [Vec<u8>; 2] {
    let once = decoded(name);
    let twice = decoded(&once);
    [once, twice]
}

/// What of a query is a field's name, and what its value.
pub(super) fn fields(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split(['&', ';']).map(|field| field.split_once('=').unwrap_or((field, "")))
}

/// Whether a body had such a field.
#[derive(Clone, Default)]
pub(super) struct Seen(Arc<AtomicBool>);

impl Seen {
    /// What a request becomes of which something failed, perhaps for this.
    pub(super) fn or(&self, refusal: Refusal) -> Refusal {
        if self.0.load(Ordering::Relaxed) { refusal::OVERRIDE } else { refusal }
    }
}

/// A body that ends before such a field.
pub(super) fn watched(headers: &HeaderMap, body: Body, seen: &Seen) -> Result<Body, Refusal> {
    if body.is_end_stream() {
        return Ok(body);
    }
    let types: Vec<String> = headers
        .get_all(header::CONTENT_TYPE)
        .iter()
        .map(|kind| String::from_utf8_lossy(kind.as_bytes()).trim().to_ascii_lowercase())
        .collect();
    let coded = headers.get_all(header::CONTENT_ENCODING).iter().any(|coding| coding != "identity");
    if coded || !types.iter().all(|kind| is_readable(kind)) {
        let known = types.iter().all(|kind| COMPRESSED.iter().any(|start| kind.starts_with(start)));
        return if known && !types.is_empty() { Ok(body) } else { Err(refusal::OVERRIDE) };
    }
    let forms =
        if types.is_empty() { Form::of("") } else { types.iter().flat_map(|kind| Form::of(kind)).collect() };
    Ok(Watched { inner: body, forms, seen: seen.clone() }.boxed_unsync())
}

/// Whether a type names no charset in which quotes and names are other bytes.
fn is_readable(kind: &str) -> bool {
    let charset = kind.split(';').filter_map(|parameter| parameter.trim().strip_prefix("charset")).next();
    let charset = charset.map(|charset| charset.trim_matches(|c| matches!(c, ' ' | '=' | '"' | '\'')));
    charset.is_none_or(|charset| CHARSETS.contains(&charset))
}

/// A form that comes in pieces.
enum Form {
    /// The name that is read; nothing while a value is.
    Fields(Option<Vec<u8>>),
    Parts(Line),
    Json(JsonKeys),
}

/// A line of a form in parts.
enum Line {
    /// What describes a part, so far, or may become it.
    Read(Vec<u8>),
    /// Its end is looked for.
    Passed,
}

impl Form {
    /// As what a body of this type is read. Without a type it is a form to some (Rack), and JSON is JSON to some whatever
    /// its type is; parts are none.
    fn of(kind: &str) -> Vec<Self> {
        if kind.starts_with("multipart/") {
            return vec![Self::Parts(Line::Read(Vec::new()))];
        }
        let json = Self::Json(JsonKeys::default());
        let fields = kind.is_empty() || kind.contains("form-urlencoded");
        fields.then(|| Self::Fields(Some(Vec::new()))).into_iter().chain([json]).collect()
    }

    /// Takes a piece in; whether a field was found, or may be hidden.
    fn takes(&mut self, data: &[u8]) -> bool {
        match self {
            Self::Fields(name) => data.iter().any(|byte| take_field(name, *byte)),
            Self::Parts(line) => data.iter().any(|byte| line.takes(*byte)),
            Self::Json(keys) => {
                data.iter().any(|byte| keys.takes(*byte).is_some_and(|key| is_override(&key)))
            }
        }
    }

    /// The last field may have no value.
    fn ends(&mut self) -> bool {
        match self {
            Self::Fields(name) => name.take().is_some_and(|name| overrides(&name)),
            Self::Parts(_) | Self::Json(_) => false,
        }
    }
}

fn take_field(name: &mut Option<Vec<u8>>, byte: u8) -> bool {
    match (byte, &mut *name) {
        (b'&' | b';', _) => name.replace(Vec::new()).is_some_and(|name| overrides(&name)),
        (b'=', Some(_)) => name.take().is_some_and(|name| overrides(&name)),
        (_, Some(read)) => {
            read.push(byte);
            if read.len() >= LONGEST_NAME {
                *read = without_blanks(read).to_vec();
            }
            let long = name.take_if(|read| read.len() >= LONGEST_NAME);
            long.is_some_and(|name| begins_override(&name))
        }
        _ => false,
    }
}

impl Line {
    fn takes(&mut self, byte: u8) -> bool {
        if matches!(byte, b'\r' | b'\n') {
            let line = std::mem::replace(self, Self::Read(Vec::new()));
            return matches!(line, Self::Read(line) if describes_override(&line));
        }
        let Self::Read(line) = self else { return false };
        line.push(byte);
        let known = line.len().min(DESCRIBES.len());
        let folded = line[0] == b' ' || line[0] == b'\t';
        if !folded && !line[..known].eq_ignore_ascii_case(&DESCRIBES[..known]) {
            *self = Self::Passed;
            return false;
        }
        let hides = line.len() > LONGEST_LINE && !folded;
        if line.len() > LONGEST_LINE {
            *self = Self::Passed;
        }
        hides
    }
}

/// Whether a line names a part so (RFC 7578, section 4.2; RFC 5987).
fn describes_override(line: &[u8]) -> bool {
    line.split(|byte| *byte == b';').any(|parameter| {
        let parameter = parameter.trim_ascii();
        let Some(at) = parameter.iter().position(|byte| *byte == b'=') else { return false };
        let (key, value) = (parameter[..at].trim_ascii(), parameter[at + 1..].trim_ascii());
        let value = value.strip_prefix(b"\"").unwrap_or(value);
        let value = value.strip_suffix(b"\"").unwrap_or(value);
        let value = match (key.contains(&b'*'), value.iter().rposition(|byte| *byte == b'\'')) {
            (true, Some(quote)) => &value[quote + 1..],
            _ => value,
        };
        key.get(..4).is_some_and(|key| key.eq_ignore_ascii_case(b"name")) && overrides(value)
    })
}

struct Watched {
    inner: Body,
    forms: Vec<Form>,
    seen: Seen,
}

impl Watched {
    fn refuse(&self) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.seen.0.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err(refusal::OVERRIDE.message.into())))
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let found = match &frame {
            Some(Ok(frame)) => {
                frame.data_ref().is_some_and(|data| self.forms.iter_mut().any(|form| form.takes(data)))
            }
            Some(Err(_)) => false,
            None => self.forms.iter_mut().any(Form::ends),
        };
        if found { self.refuse() } else { Poll::Ready(frame) }
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http_body_util::StreamBody;

    use super::*;

    async fn passes(kind: Option<&str>, body: &[u8], step: usize) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(kind) = kind {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
        }
        let chunks: Vec<Result<Frame<Bytes>, BoxError>> =
            body.chunks(step).map(|chunk| Ok(Frame::data(Bytes::copy_from_slice(chunk)))).collect();
        let body = StreamBody::new(tokio_stream::iter(chunks)).boxed_unsync();
        let seen = Seen::default();
        let Ok(body) = watched(&headers, body, &seen) else { return false };
        let whole = body.collect().await.is_ok();
        assert_eq!(whole, seen.or(refusal::MALFORMED) == refusal::MALFORMED);
        whole
    }

    #[tokio::test]
    async fn a_field_that_changes_the_method_ends_a_form() {
        const FORM: &str = "application/x-www-form-urlencoded";
        const PARTS: &str = "multipart/form-data; boundary=x";
        for (kind, body, expected) in [
            (Some(FORM), "a=1&_method=DELETE", false),
            (Some(FORM), "_method=DELETE&a=1", false),
            (Some(FORM), "a=1;_METHOD=DELETE", false),
            (Some(FORM), "%5fmethod=DELETE", false),
            (Some(FORM), "_%6Dethod=DELETE", false),
            (Some(FORM), "%255Fmethod=DELETE", false),
            (Some(FORM), ".method=DELETE", false),
            (Some(FORM), "+method=DELETE", false),
            (Some(FORM), "_method[]=DELETE", false),
            (Some(FORM), "a&_method", false),
            (Some(FORM), "X-HTTP-Method-Override=DELETE", false),
            (None, "_method=DELETE", false),
            (Some(FORM), "method=card&a=_method&b=x=_method", true),
            (Some(FORM), "", true),
            (Some(FORM), "_method%00x=DELETE", false),
            (Some("application/json"), "{\"_method\":\"DELETE\"}", false),
            (Some("application/json"), "{\"a\":1, \"\\u005Fmethod\" : \"DELETE\"}", false),
            (Some("text/plain"), "{\"_method\":\"DELETE\"}", false),
            (Some("application/octet-stream"), "{\"_method\":\"DELETE\"}", false),
            (Some(FORM), "{\"_method\":\"DELETE\"}", false),
            (None, "{\"_method\":\"DELETE\"}", false),
            (Some("application/json; charset=utf-16"), "{}", false),
            (Some("application/json; charset=\"UTF-8\""), "{}", true),
            (
                Some("application/json"),
                "{\"method\":\"a\",\"text\":\"{\\\"_method\\\":1}\",\"a\":\"_method\"}",
                true,
            ),
            (Some("text/plain"), "_method=DELETE", true),
            (
                Some(PARTS),
                "--x\r\nContent-Disposition: form-data; name=\"_method\"\r\n\r\nDELETE\r\n--x--",
                false,
            ),
            (
                Some(PARTS),
                "--x\r\ncontent-disposition: form-data; name=_method\r\n\r\nDELETE\r\n--x--",
                false,
            ),
            (Some(PARTS), "--x\nContent-Disposition: form-data;\n name=\"_method\"\n\nDELETE", false),
            (
                Some(PARTS),
                "--x\r\nContent-Disposition: form-data; name*=utf-8''%5Fmethod\r\n\r\nDELETE",
                false,
            ),
            (
                Some(PARTS),
                "--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\ndef do_method(self): name=_method\r\n--x--",
                true,
            ),
        ] {
            for step in [1, 5, 1000] {
                assert_eq!(passes(kind, body.as_bytes(), step).await, expected, "{kind:?} {body} {step}");
            }
        }
        for blank in ["+", "%20", " "] {
            for blanks in [500, 508, 511, 600, 2000] {
                for name in ["_method", "_%6Dethod", "_method[]"] {
                    let body = format!("a=1&{}{name}=DELETE", blank.repeat(blanks));
                    assert!(!passes(Some(FORM), body.as_bytes(), 7).await, "{blank}{blanks}{name}");
                }
            }
        }
        let tail = format!("_method%00{}=DELETE", "x".repeat(600));
        assert!(!passes(Some(FORM), tail.as_bytes(), 7).await);
        // What is no form but is said to be one, as curl says it.
        let json = format!("{{\"model\":\"{}\"}}", "x".repeat(600));
        assert!(passes(Some(FORM), json.as_bytes(), 7).await);
        let long = format!(
            "--x\r\nContent-Disposition: form-data; a=\"{}\"; name=\"_method\"\r\n",
            "b".repeat(9000)
        );
        assert!(!passes(Some(PARTS), long.as_bytes(), 1000).await);
        let file = format!("--x\r\n\r\n {}\n", "b".repeat(9000));
        assert!(passes(Some(PARTS), file.as_bytes(), 1000).await);
    }
}
