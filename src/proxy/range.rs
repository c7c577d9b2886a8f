//! Parts of an answer. The host is asked for the whole, which is scrubbed from its beginning, and the part is cut out
//! here: a value that is cut in two, one half an answer, is none that is found. What can't be served so is refused,
//! never answered with something else.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use hyper::body::{Body as HttpBody, Frame};

use super::{
    body::{Body, BoxError},
    care,
    refusal::{self, Refusal},
};

/// The part that a program asks for (RFC 9110, section 14.1.2): one range of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    span: Span,
    /// Only of the answer that this names (section 13.1.5): else the whole is wanted.
    only_if: Option<HeaderValue>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Span {
    From { first: u64, last: Option<u64> },
    Last(u64),
}

/// The part that is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub first: u64,
    pub length: u64,
    /// Of the whole.
    of: u64,
}

const OF_AZURE: HeaderName = HeaderName::from_static("x-ms-range");

/// What a program asks for. Ranges are for GET alone, and one of an unknown unit is none (section 14.2). Azure Storage reads
/// a header of its own.
pub(super) fn wanted(method: &Method, headers: &HeaderMap) -> Result<Option<Wanted>, Refusal> {
    let name = if headers.contains_key(header::RANGE) { header::RANGE } else { OF_AZURE };
    let mut ranges = headers.get_all(name).iter();
    let range = match (ranges.next(), ranges.next()) {
        (Some(range), None) if *method == Method::GET => {
            range.to_str().map_err(|_| refusal::RANGE_MALFORMED)?
        }
        (Some(_), Some(_)) if *method == Method::GET => return Err(refusal::RANGE_SEVERAL),
        _ => return Ok(None),
    };
    let of_bytes = range.split_once('=').filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes"));
    let Some((_, set)) = of_bytes else { return Ok(None) };
    if set.contains(',') {
        return Err(refusal::RANGE_SEVERAL);
    }
    let span = span(set.trim()).ok_or(refusal::RANGE_MALFORMED)?;
    Ok(Some(Wanted { span, only_if: headers.get(header::IF_RANGE).cloned() }))
}

fn span(text: &str) -> Option<Span> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok())?
    };
    match text.split_once('-')? {
        ("", last) => number(last).map(Span::Last),
        (first, "") => Some(Span::From { first: number(first)?, last: None }),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Span::From { first, last: Some(last) })
        }
    }
}

/// Whether an answer is a part of bytes, or may be one (section 15.3.7): rows of a table are whole in theirs.
pub(super) fn is_of_bytes(headers: &HeaderMap) -> bool {
    let lower = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).trim().to_ascii_lowercase();
    let mut ranges = headers.get_all(header::CONTENT_RANGE).iter().map(lower).peekable();
    let mut types = headers.get_all(header::CONTENT_TYPE).iter().map(lower);
    ranges.peek().is_none()
        || ranges.any(|range| range.starts_with("bytes"))
        || types.any(|kind| kind.starts_with("multipart/"))
}

impl Wanted {
    /// The part of this answer; nothing where it is passed on as it is.
    pub(super) fn of(&self, status: StatusCode, headers: &HeaderMap) -> Result<Option<Part>, Unserved> {
        if status != StatusCode::OK || !self.is_of(headers) {
            return Ok(None);
        }
        let length =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let of: u64 = length.ok_or(Unserved { refusal: refusal::RANGE_LENGTH, of: None })?;
        let (first, end) = match self.span {
            Span::From { first, last } => (first, last.map_or(of, |last| last.saturating_add(1).min(of))),
            Span::Last(bytes) => (of.saturating_sub(bytes), of),
        };
        if first >= end {
            return Err(Unserved { refusal: refusal::RANGE_UNSATISFIABLE, of: Some(of) });
        }
        Ok(Some(Part { first, length: end - first, of }))
    }

    /// Whether it is the answer that the program has a part of: a validator is compared strongly (section 8.8.3.2).
    fn is_of(&self, headers: &HeaderMap) -> bool {
        let Some(wanted) = &self.only_if else { return true };
        let name = if wanted.as_bytes().ends_with(b"\"") { header::ETAG } else { header::LAST_MODIFIED };
        !wanted.as_bytes().starts_with(b"W/") && headers.get(name) == Some(wanted)
    }
}

/// A part that there is not.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unserved {
    pub refusal: Refusal,
    of: Option<u64>,
}

impl Unserved {
    /// Says how long the whole is (section 15.5.17).
    pub(super) fn describe(&self, headers: &mut HeaderMap) {
        if let Some(of) = self.of {
            headers.insert(header::CONTENT_RANGE, number(format!("bytes */{of}")));
        }
    }
}

impl Part {
    /// Says of an answer's head that it is a part. What vouches for the content vouched for all of it.
    pub(super) fn describe(self, headers: &mut HeaderMap) {
        let whole = |name: &HeaderName| matches!(name.as_str(), "repr-digest" | "digest");
        let gone: Vec<HeaderName> =
            headers.keys().filter(|name| care::vouches(name.as_str()) && !whole(name)).cloned().collect();
        for name in gone {
            headers.remove(name);
        }
        let range = format!("bytes {}-{}/{}", self.first, self.first + self.length - 1, self.of);
        headers.insert(header::CONTENT_RANGE, number(range));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(self.length));
    }
}

fn number(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("digits and a few signs are a header's value")
}

/// The bytes of a part, cut out of the whole as it comes.
pub(super) struct Cut {
    whole: Body,
    skip: u64,
    left: u64,
}

impl Cut {
    pub(super) fn new(whole: Body, part: Part) -> Self {
        Self { whole, skip: part.first, left: part.length }
    }

    fn of(&mut self, mut data: Bytes) -> Bytes {
        let before = data.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
        self.skip -= before as u64;
        data = data.split_off(before);
        data.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= data.len() as u64;
        data
    }
}

impl HttpBody for Cut {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        while self.left > 0 {
            let frame = match ready!(Pin::new(&mut self.whole).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            // Trailers are of the whole.
            let Ok(data) = frame.into_data() else { continue };
            let data = self.of(data);
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::{super::testing, *};

    fn asked(range: &str) -> Result<Option<Wanted>, Refusal> {
        wanted(&Method::GET, &testing::headers(&format!("range: {range}")))
    }

    #[test]
    fn one_range_of_bytes_is_served_and_everything_else_is_refused() {
        for (range, part) in [
            ("bytes=0-9", Ok((0, 10))),
            ("bytes=90-", Ok((90, 10))),
            ("Bytes = 5-5", Ok((5, 1))),
            ("bytes=-7", Ok((93, 7))),
            ("bytes=-700", Ok((0, 100))),
            ("bytes=90-18446744073709551615", Ok((90, 10))),
            ("bytes=100-", Err("range_unsatisfiable")),
            ("bytes=-0", Err("range_unsatisfiable")),
            ("bytes=0-4,10-14", Err("range_several")),
            ("bytes=9-0", Err("range_malformed")),
            ("bytes=a-", Err("range_malformed")),
            ("bytes=+1-2", Err("range_malformed")),
            ("bytes=-", Err("range_malformed")),
            ("items=0-9", Err("none")),
            ("0-9", Err("none")),
        ] {
            let answer = testing::headers("content-length: 100");
            let served = asked(range).map_err(|refusal| refusal.code).and_then(|wanted| {
                let part = wanted.ok_or("none")?.of(StatusCode::OK, &answer).map_err(|no| no.refusal.code)?;
                Ok(part.map(|part| (part.first, part.length)).unwrap())
            });
            assert_eq!(served, part, "{range}");
        }
        assert_eq!(
            asked("bytes=0-1")
                .unwrap()
                .unwrap()
                .of(StatusCode::OK, &HeaderMap::new())
                .unwrap_err()
                .refusal
                .code,
            "range_length_unknown"
        );
        assert_eq!(
            asked("bytes=0-1").unwrap().unwrap().of(StatusCode::NOT_FOUND, &HeaderMap::new()),
            Ok(None)
        );
    }

    #[test]
    fn a_part_of_anything_but_bytes_is_none() {
        for (headers, of_bytes) in [
            ("", true),
            ("content-range: bytes 0-4/10", true),
            ("content-range: Bytes 0-4/10", true),
            ("content-range: 0-24/3573\ncontent-range: bytes 0-4/10", true),
            ("content-range: 0-24/3573\ncontent-type: multipart/byteranges; boundary=x", true),
            ("content-range: 0-24/3573\ncontent-type: application/json", false),
            ("content-range: items 0-24/3573", false),
        ] {
            assert_eq!(is_of_bytes(&testing::headers(headers)), of_bytes, "{headers}");
        }
        let azure = testing::headers("x-ms-range: bytes=0-9");
        assert_eq!(wanted(&Method::GET, &azure), asked("bytes=0-9"));
    }

    #[test]
    fn another_answer_than_the_one_that_is_known_comes_whole() {
        let answer = testing::headers(
            "content-length: 100\netag: \"a\"\nlast-modified: Wed, 25 Nov 2026 00:00:00 GMT",
        );
        for (only_if, part) in [
            ("\"a\"", true),
            ("\"b\"", false),
            ("W/\"a\"", false),
            ("Wed, 25 Nov 2026 00:00:00 GMT", true),
            ("Wed, 25 Nov 2026 00:00:01 GMT", false),
        ] {
            let headers = testing::headers(&format!("range: bytes=0-9\nif-range: {only_if}"));
            let wanted = wanted(&Method::GET, &headers).unwrap().unwrap();
            assert_eq!(wanted.of(StatusCode::OK, &answer).unwrap().is_some(), part, "{only_if}");
        }
    }

    #[tokio::test]
    async fn a_part_is_what_is_left_of_the_whole_however_that_comes() {
        let whole: Vec<u8> = (0..100).collect();
        for (first, length) in [(0, 1), (0, 100), (10, 30), (99, 1), (33, 67)] {
            for step in [1, 7, 100] {
                let chunks: Vec<_> =
                    whole.chunks(step).map(|c| Ok(Frame::data(Bytes::copy_from_slice(c)))).collect();
                let body = http_body_util::StreamBody::new(tokio_stream::iter(chunks)).boxed_unsync();
                let cut = Cut::new(body, Part { first, length, of: 100 });
                let got = cut.collect().await.unwrap().to_bytes();
                assert_eq!(got[..], whole[first as usize..(first + length) as usize]);
            }
        }
        let short = Full::new(Bytes::from_static(b"abc")).map_err(|never| match never {}).boxed_unsync();
        let got = Cut::new(short, Part { first: 1, length: 5, of: 6 }).collect().await.unwrap().to_bytes();
        assert_eq!(&got[..], b"bc", "the declared length says that it was cut");
    }
}
