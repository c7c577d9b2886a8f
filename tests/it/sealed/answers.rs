//! What a host answers, byte for byte: what holds no value passes as it came, what holds one is as long or is refused, and
//! a part is a part of the same bytes.

use authy_mcp::testing::policy::Inject;

use super::{
    bearer,
    host::{Host, compress, shown},
    program::{KEY, Program, seal, sealed, terms},
};

/// A document as many hosts have it: with a URL that has a password in it.
const README: &str =
    "postgres://dev:hunter2pass@localhost:5432/dev\ngit+https://user:token@github.com/a/b.git\n";

/// Bytes of every kind, with such a URL in the middle.
fn binary() -> Vec<u8> {
    let noise = |seed: u32| (0..40_000u32).map(move |n| (n.wrapping_mul(2_654_435_761 ^ seed) >> 13) as u8);
    noise(1).chain(README.bytes()).chain(noise(2)).collect()
}

#[tokio::test]
async fn what_holds_no_value_passes_byte_for_byte() {
    let host = Host::start().await;
    let program = bearer(&host);
    let (binary, text) = (binary(), README.repeat(200).into_bytes());
    let packed = compress("gzip", binary.clone());
    for (number, (headers, body)) in [
        ("Content-Type: text/markdown", text.as_slice()),
        ("Content-Type: application/octet-stream\nETag: \"abc\"\nContent-MD5: x", &binary),
        ("Content-Type: application/x-tar\nX-Goog-Hash: crc32c=x", &binary),
        ("Content-Type: application/grpc", &binary),
        ("Content-Type: application/json\nContent-Digest: sha-256=:x:", &text),
        ("Content-Type: application/x-tar\nContent-Encoding: gzip\nETag: \"abc\"", &packed),
        ("", &binary),
    ]
    .into_iter()
    .enumerate()
    {
        for step in [usize::MAX, 1000] {
            let path = format!("/{number}/{step}");
            host.serves(&path, headers, body, step).await;
            let (head, got, whole) = program.answer(&host.name(), &path, "").await;
            assert!(head.starts_with("http/1.1 200") && whole, "{path} {head}");
            assert!(got == body, "{path}: {} bytes for {}\n{head}", got.len(), body.len());
            assert!(!head.contains("x-authy-mcp-scrubbed"), "{head}");
            for line in headers.lines().filter(|_| step == usize::MAX) {
                assert!(head.contains(&line.to_ascii_lowercase()), "{line}: {head}");
            }
            assert_eq!(head.contains("content-length"), step == usize::MAX, "{head}");
        }
    }
    let (records, _) = program.running.end().await;
    assert!(records.iter().all(|record| record.scrubs == 0 && record.refused.is_none()), "{records:?}");
}

#[tokio::test]
async fn answers_that_are_looked_into_whole_wait_for_each_other_and_all_come() {
    let host = Host::start().await;
    let program = bearer(&host);
    let packed = compress("gzip", binary());
    host.serves("/a", "Content-Type: application/x-tar\nContent-Encoding: gzip", &packed, usize::MAX).await;
    let program = std::sync::Arc::new(program);
    let mut asks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (program, at) = (std::sync::Arc::clone(&program), host.name());
        asks.spawn(async move { program.answer(&at, "/a", "").await });
    }
    for (head, got, whole) in asks.join_all().await {
        assert!(whole && got == packed, "{head}");
    }
}

#[tokio::test]
async fn a_value_in_text_leaves_as_many_bytes_and_the_head_says_so() {
    let host = Host::start().await;
    let program = bearer(&host);
    let body = format!(
        "{{\"key\": \"{KEY}\", \"hex\": \"{}\", \"url\": \"{}\"}}\n",
        hex::encode(KEY),
        README.trim()
    );
    for (coding, step) in [("", usize::MAX), ("", 7), ("gzip", usize::MAX), ("zstd", 7), ("br", usize::MAX)] {
        let sent = if coding.is_empty() {
            body.clone().into_bytes()
        } else {
            compress(coding, body.clone().into_bytes())
        };
        let mut headers =
            "Content-Type: application/json\nETag: \"abc\"\nX-Authy-MCP-Scrubbed: no".to_owned();
        if !coding.is_empty() {
            headers.push_str(&format!("\nContent-Encoding: {coding}"));
        }
        host.serves("/a", &headers, &sent, step).await;
        let (head, got, whole) = program.answer(&host.name(), "/a", "").await;
        let placeholder = program.placeholder("openai/key");
        let expected = body.replace(KEY, placeholder).replace(&hex::encode(KEY), &"0".repeat(2 * KEY.len()));
        assert!(whole, "{head}");
        assert_eq!(String::from_utf8(got).unwrap(), expected, "{coding} {step}");
        // Chunks of an answer without a length may come too late for its head.
        let said = head.contains("x-authy-mcp-scrubbed: 1") && head.contains("etag: w/\"abc\"");
        assert!(said || step == 7, "{head}");
        assert!(!head.contains("content-encoding") && !head.contains("scrubbed: no"), "{head}");
    }
    program.assert_clean();
}

#[tokio::test]
async fn a_value_that_cannot_be_taken_out_ends_the_answer() {
    let host = Host::start().await;
    let program = bearer(&host);
    let text = format!("{README}{KEY}\n").into_bytes();
    let late = [binary(), KEY.as_bytes().to_vec(), binary()].concat();
    let packed = compress("gzip", text.clone());
    for (headers, body) in [
        ("Content-Type: application/octet-stream", &text),
        ("Content-Type: application/grpc", &text),
        ("Content-Type: application/x-tar", &text),
        ("Content-Type: image/png", &text),
        ("Content-Type: text/plain\nContent-Digest: sha-256=:x:", &text),
        ("Content-Type: text/plain\nX-Goog-Hash: md5=x", &text),
        ("Content-Type: application/x-tar\nContent-Encoding: gzip", &packed),
        ("Content-Type: text/plain", &packed),
        ("", &[b"\0\x01".as_slice(), &text].concat()),
    ] {
        host.serves("/a", headers, body, usize::MAX).await;
        let (head, got, _) = program.answer(&host.name(), "/a", "").await;
        assert!(head.starts_with("http/1.1 502"), "{headers}: {head}");
        assert!(head.contains("x-authy-mcp-refused: answer_holds_value"), "{headers}: {head}");
        assert!(String::from_utf8_lossy(&got).contains("answer_holds_value"));
    }
    for step in [usize::MAX, 1000] {
        host.serves("/late", "Content-Type: application/octet-stream", &late, step).await;
        let (head, got, whole) = program.answer(&host.name(), "/late", "").await;
        assert!(head.starts_with("http/1.1 200") && !whole, "{head}");
        assert!(late.starts_with(&got) && got.len() < late.len() / 2 + KEY.len(), "{} bytes", got.len());
    }
    program.assert_clean();
    let (records, _) = program.running.end().await;
    let held = |status: u16| {
        let held = records.iter().filter(|record| record.refused == Some("answer_holds_value"));
        held.filter(|record| record.status == status).count()
    };
    assert_eq!((held(502), held(200)), (9, 2), "{records:#?}");
}

#[tokio::test]
async fn a_part_is_cut_out_of_the_whole_that_was_looked_through() {
    let host = Host::start().await;
    let program = bearer(&host);
    let body = binary();
    let headers =
        "Content-Type: application/octet-stream\nETag: \"abc\"\nAccept-Ranges: bytes\nContent-MD5: x";
    host.serves("/a", headers, &body, usize::MAX).await;
    let length = body.len();
    for (range, from, to) in [
        ("bytes=0-9", 0, 10),
        ("bytes=39990-40050", 39_990, 40_051),
        ("bytes=70000-", 70_000, length),
        ("bytes=-5", length - 5, length),
        ("bytes=5-999999999", 5, length),
    ] {
        let (head, got, whole) = program.answer(&host.name(), "/a", &format!("Range: {range}\r\n")).await;
        assert!(head.starts_with("http/1.1 206") && whole, "{range}: {head}");
        assert!(
            head.contains(&format!("content-range: bytes {from}-{}/{length}", to - 1)),
            "{range}: {head}"
        );
        assert!(head.contains("accept-ranges: bytes") && !head.contains("content-md5"), "{head}");
        assert!(got == body[from..to], "{range}");
    }
    for (headers, status, says) in [
        ("Range: bytes=999999999-", 416, format!("content-range: bytes */{length}")),
        ("Range: bytes=0-1,5-6", 416, "range_several".to_owned()),
        ("Range: bytes=x", 416, "range_malformed".to_owned()),
        ("Range: rows=0-1", 200, format!("content-length: {length}")),
        ("X-Ms-Range: bytes=0-9", 206, "content-length: 10".to_owned()),
        ("Range: bytes=0-9\r\nIf-Range: \"abc\"", 206, "content-length: 10".to_owned()),
        ("Range: bytes=0-9\r\nIf-Range: \"other\"", 200, format!("content-length: {length}")),
    ] {
        let (head, ..) = program.answer(&host.name(), "/a", &format!("{headers}\r\n")).await;
        assert!(head.starts_with(&format!("http/1.1 {status}")) && head.contains(&says), "{headers}: {head}");
    }
    assert!(
        host.seen()
            .await
            .iter()
            .all(|seen| seen.header("range").is_empty() && seen.header("if-range").is_empty())
    );
    host.serves("/chunks", "Content-Type: text/plain", README.as_bytes(), 10).await;
    let (head, ..) = program.answer(&host.name(), "/chunks", "Range: bytes=0-9\r\n").await;
    assert!(head.starts_with("http/1.1 501") && head.contains("range_length_unknown"), "{head}");
    // The value is cut in two by no pair of ranges.
    let text = format!("{}{KEY}{}", "a".repeat(100), "b".repeat(100));
    host.serves("/text", "Content-Type: text/plain", text.as_bytes(), usize::MAX).await;
    let mut both = Vec::new();
    for range in ["bytes=0-119", "bytes=120-"] {
        let (head, got, _) = program.answer(&host.name(), "/text", &format!("Range: {range}\r\n")).await;
        assert!(head.starts_with("http/1.1 206"), "{head}");
        both.extend_from_slice(&got);
    }
    assert_eq!(String::from_utf8(both).unwrap(), text.replace(KEY, program.placeholder("openai/key")));
    program.assert_clean();
}

#[tokio::test]
async fn the_value_of_another_secret_of_the_scope_leaves_as_many_bytes_too() {
    use authy_mcp::testing::{names::SecretName, redact::Needles, value::SecretValue};
    let host = Host::start().await;
    let other = "zq-other-5Hn8RwQz2LmXv7TcK9";
    let mut both = terms(vec![sealed("openai/key", KEY, seal(&host.name(), Some(Inject::Bearer)))], &host);
    let name = SecretName::parse("other/key").unwrap();
    both.known = vec![Needles::of(&name, &SecretValue::new(other.as_bytes().to_vec()))];
    let program = Program::start(both);
    host.serves("/a", "Content-Type: text/plain", format!("say {other} again").as_bytes(), usize::MAX).await;
    let (head, got, whole) = program.answer(&host.name(), "/a", "").await;
    let text = String::from_utf8(got).unwrap();
    assert!(whole && text.len() == "say  again".len() + other.len() && !text.contains(other), "{head}{text}");
    let (records, _) = program.running.end().await;
    assert_eq!(shown(&records[0]), format!("GET {} /a 200 passed", host.name()));
    assert_eq!(records[0].scrubs, 1);
}
