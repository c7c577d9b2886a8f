//! What is done with an answer in which a value stands: taken out where nothing else breaks by that, else refused.

use http::{HeaderMap, HeaderName, header};

/// What becomes of a body in which a value is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnValue {
    /// It ends there: what is left would be no longer what its host says that it is.
    Refuse,
    /// As many other bytes stand in its place, as long as all that came is text.
    TakeOutOfText,
    /// As many other bytes stand in its place.
    TakeOut,
}

/// Types of text without lengths, checksums or signatures inside (RFC 6838 registrations): taking as many bytes out as
/// are put in breaks no frame of theirs. All of `text/*`, `*+json` and `*+xml` are such, too.
const TEXTS: &[&str] = &[
    "application/json",
    "application/json-seq",
    "application/jsonl",
    "application/x-jsonlines",
    "application/x-ndjson",
    "application/ndjson",
    "application/xml",
    "application/javascript",
    "application/x-javascript",
    "application/ecmascript",
    "application/graphql",
    "application/yaml",
    "application/x-yaml",
    "application/toml",
    "application/sql",
    "application/x-www-form-urlencoded",
];

/// Words in the names of headers that vouch for a body (RFC 9530 and 3230 digests, RFC 1864, RFC 9421, and those of
/// object stores and registries: `x-goog-hash`, `x-amz-checksum-crc32`, `docker-content-digest`).
const VOUCH: &[&str] =
    &["digest", "checksum", "md5", "sha1", "sha256", "sha512", "crc32", "crc64", "hash", "signature"];

/// Whether a header vouches for the bytes of a body.
pub(super) fn vouches(name: &str) -> bool {
    VOUCH.iter().any(|word| name.contains(word))
}

impl OnValue {
    /// By what the host says of its answer.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let trailers = headers.get_all(header::TRAILER).iter().filter_map(|names| names.to_str().ok());
        let vouched = headers.keys().map(HeaderName::as_str).any(vouches)
            || trailers.flat_map(|names| names.split(',')).any(|name| vouches(&name.to_ascii_lowercase()));
        if vouched {
            return Self::Refuse;
        }
        let mut types = headers.get_all(header::CONTENT_TYPE).iter();
        match (types.next(), types.next()) {
            // Without a type it is what it looks like (RFC 9110, section 8.3).
            (None, _) => Self::TakeOutOfText,
            (Some(one), None) if one.to_str().is_ok_and(is_text) => Self::TakeOut,
            (Some(_), _) => Self::Refuse,
        }
    }
}

fn is_text(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || TEXTS.contains(&kind.as_str())
}

/// Whether bytes have a control character that no text has.
pub(super) fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| byte.is_ascii_control() && !matches!(byte, b'\t'..=b'\r' | 0x1b | 0x7f))
}

#[cfg(test)]
mod tests {
    use super::{super::testing, *};

    #[test]
    fn a_value_is_taken_out_of_text_that_nothing_vouches_for() {
        for (headers, on_value) in [
            ("", OnValue::TakeOutOfText),
            ("content-type: text/html; charset=utf-8", OnValue::TakeOut),
            ("content-type: application/json", OnValue::TakeOut),
            ("content-type: Application/Problem+JSON", OnValue::TakeOut),
            ("content-type: text/event-stream", OnValue::TakeOut),
            ("content-type: application/json\ncontent-type: application/grpc", OnValue::Refuse),
            ("content-type: application/grpc+proto", OnValue::Refuse),
            ("content-type: application/grpc-web-text", OnValue::Refuse),
            ("content-type: application/octet-stream", OnValue::Refuse),
            ("content-type: application/x-tar", OnValue::Refuse),
            ("content-type: application/zip", OnValue::Refuse),
            ("content-type: application/gzip", OnValue::Refuse),
            ("content-type: application/x-protobuf", OnValue::Refuse),
            ("content-type: application/x-git-upload-pack-result", OnValue::Refuse),
            ("content-type: image/png", OnValue::Refuse),
            ("content-type: multipart/byteranges; boundary=x", OnValue::Refuse),
            ("content-type: application/jose", OnValue::Refuse),
            ("content-type: nothing known", OnValue::Refuse),
            ("content-type: text/plain\ncontent-digest: sha-256=:x:", OnValue::Refuse),
            ("content-type: text/plain\nrepr-digest: sha-256=:x:", OnValue::Refuse),
            ("content-type: text/plain\ndigest: SHA-256=x", OnValue::Refuse),
            ("content-type: text/plain\ncontent-md5: x", OnValue::Refuse),
            ("content-type: text/plain\nx-goog-hash: crc32c=x", OnValue::Refuse),
            ("content-type: text/plain\nx-amz-checksum-sha256: x", OnValue::Refuse),
            ("content-type: text/plain\ndocker-content-digest: x", OnValue::Refuse),
            ("content-type: text/plain\ntrailer: X-A, Content-Digest", OnValue::Refuse),
            ("content-type: text/plain\ntrailer: X-A", OnValue::TakeOut),
        ] {
            assert_eq!(OnValue::of(&testing::headers(headers)), on_value, "{headers}");
        }
    }

    #[test]
    fn text_has_no_control_characters_but_a_few() {
        assert!(!is_binary("a\tb\r\n\x0c\x1b[1m \u{fc}".as_bytes()));
        for bytes in [&b"PK\x03\x04"[..], b"a\0b", b"\x08\x96\x01"] {
            assert!(is_binary(bytes));
        }
    }
}
