//! Forms on their way to a host whose rule names methods: a field that makes the request one of another method ends it.
//! Frameworks read such a field from the query, from a form, and from the parts of one (Rack, Rails, Symfony, Laravel,
//! Express); JSON they read as what it is.

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
    refusal::{self, Refusal},
};

/// A field's name is no longer than this, however it is encoded; what is longer is none of those that are looked for.
const LONGEST_NAME: usize = 512;
/// A line that describes a part is no longer than this.
const LONGEST_LINE: usize = 8 << 10;
const DESCRIBES: &[u8] = b"content-disposition";

/// Whether a field of this name makes a request one of another method: `_method`, `X-HTTP-Method-Override` and their like,
/// in whatever spelling a framework takes for it (PHP reads `.method` and ` method` as `_method`).
pub(super) fn overrides(name: &[u8]) -> bool {
    let spaced: Vec<u8> = name.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let once = decoded(&spaced);
    let twice = decoded(&once);
    [once, twice].iter().any(|name| is_override(name))
}

fn is_override(name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let word: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    // A plain `method` is many things; one that is marked as no field of the form's own is this.
    let marked = name.starts_with(|c: char| !c.is_ascii_alphanumeric());
    (marked && matches!(word.as_str(), "method" | "httpmethod"))
        || word.contains("methodoverride")
        || word.contains("xhttpmethod")
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

/// A body that ends before such a field, if it is a form.
pub(super) fn watched(headers: &HeaderMap, body: Body, seen: &Seen) -> Result<Body, Refusal> {
    if body.is_end_stream() {
        return Ok(body);
    }
    let Some(form) = Form::of(headers) else { return Ok(body) };
    if headers.get_all(header::CONTENT_ENCODING).iter().any(|coding| coding != "identity") {
        return Err(refusal::OVERRIDE);
    }
    Ok(Watched { inner: body, form, seen: seen.clone() }.boxed_unsync())
}

/// A form that comes in pieces.
enum Form {
    /// The name that is read; nothing while a value is.
    Fields(Option<Vec<u8>>),
    Parts(Line),
}

/// A line of a form in parts.
enum Line {
    /// What describes a part, so far, or may become it.
    Read(Vec<u8>),
    /// Its end is looked for.
    Passed,
}

impl Form {
    /// What a body is read as. Without a type it is a form to some (Rack).
    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut types = headers.get_all(header::CONTENT_TYPE).iter().peekable();
        if types.peek().is_none() {
            return Some(Self::Fields(Some(Vec::new())));
        }
        types.find_map(|kind| {
            let kind = String::from_utf8_lossy(kind.as_bytes()).trim().to_ascii_lowercase();
            if kind.starts_with("multipart/") {
                return Some(Self::Parts(Line::Read(Vec::new())));
            }
            kind.contains("form-urlencoded").then(|| Self::Fields(Some(Vec::new())))
        })
    }

    /// Takes a piece in; whether a field was found, or may be hidden.
    fn takes(&mut self, data: &[u8]) -> bool {
        match self {
            Self::Fields(name) => data.iter().any(|byte| take_field(name, *byte)),
            Self::Parts(line) => data.iter().any(|byte| line.takes(*byte)),
        }
    }

    /// The last field may have no value.
    fn ends(&mut self) -> bool {
        match self {
            Self::Fields(name) => name.take().is_some_and(|name| overrides(&name)),
            Self::Parts(_) => false,
        }
    }
}

fn take_field(name: &mut Option<Vec<u8>>, byte: u8) -> bool {
    match (byte, &mut *name) {
        (b'&' | b';', _) => name.replace(Vec::new()).is_some_and(|name| overrides(&name)),
        (b'=', Some(_)) => name.take().is_some_and(|name| overrides(&name)),
        (_, Some(read)) if read.len() < LONGEST_NAME => {
            read.push(byte);
            false
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
    form: Form,
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
            Some(Ok(frame)) => frame.data_ref().is_some_and(|data| self.form.takes(data)),
            Some(Err(_)) => false,
            None => self.form.ends(),
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
        let whole = watched(&headers, body, &seen).unwrap().collect().await.is_ok();
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
            (Some("application/json"), "{\"_method\":\"DELETE\"}", true),
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
        let long = format!(
            "--x\r\nContent-Disposition: form-data; a=\"{}\"; name=\"_method\"\r\n",
            "b".repeat(9000)
        );
        assert!(!passes(Some(PARTS), long.as_bytes(), 1000).await);
        let file = format!("--x\r\n\r\n {}\n", "b".repeat(9000));
        assert!(passes(Some(PARTS), file.as_bytes(), 1000).await);
    }
}
