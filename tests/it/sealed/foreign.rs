//! What a request may not have beside the value: another account's credentials, a page of another site behind it, headers
//! in which a host keeps what it is sent, and another method or path than it says.

use authy_mcp::testing::policy::{Inject, PathPattern, SubstitutionSite};

use super::{
    bearer,
    host::Host,
    program::{KEY, Program, seal, sealed, terms},
};

fn encoded(text: &str) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text)
}

/// What the proxy says of a request with these headers: its status and the reason of a refusal.
async fn said(program: &Program, host: &Host, path: &str, headers: &str) -> (u16, String) {
    let (head, ..) = program.answer(&host.name(), path, headers).await;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let code = head.lines().find_map(|line| line.strip_prefix("x-authy-mcp-refused: "));
    (status, code.unwrap_or_default().to_owned())
}

#[tokio::test]
async fn with_inject_a_placeholder_is_replaced_nowhere_else() {
    let host = Host::start().await;
    let mut closed = seal(&host.name(), Some(Inject::Bearer));
    closed.substitute.clear();
    let program = Program::start(terms(vec![sealed("openai/key", KEY, closed)], &host));
    let key = program.placeholder("openai/key").to_owned();
    for header in ["User-Agent", "Referer", "X-Amz-Meta-Note", "X-Note", "Accept-Language", "X-Token"] {
        let (status, code) = said(&program, &host, "/", &format!("{header}: a/{key}\r\n")).await;
        let expected = if header == "X-Token" { "foreign_credential" } else { "placeholder_wrong_place" };
        assert_eq!((status, code.as_str()), (403, expected), "{header}");
    }
    assert!(host.seen().await.is_empty());
    for own in [
        String::new(),
        format!("Authorization: Bearer {key}\r\n"),
        format!("Authorization: Basic {}\r\n", encoded(&format!("x:{key}"))),
    ] {
        assert_eq!(said(&program, &host, "/", &own).await.0, 200, "{own}");
        assert_eq!(host.seen().await.last().unwrap().header("authorization"), format!("Bearer {KEY}"));
    }
    program.assert_clean();
}

#[tokio::test]
async fn without_inject_it_is_replaced_in_headers_that_carry_credentials_and_in_named_ones() {
    let host = Host::start().await;
    let mut named = seal(&host.name(), None);
    named.substitute.insert(SubstitutionSite::Named("cookie".to_owned()));
    let closed = Program::start(terms(vec![sealed("a/key", KEY, seal(&host.name(), None))], &host));
    let open = Program::start(terms(vec![sealed("a/key", KEY, named)], &host));
    for (header, by_default, by_name) in [
        ("Authorization", true, true),
        ("X-Api-Key", true, true),
        ("X-Auth-Token", true, true),
        ("Api-Key", true, true),
        ("Private-Token", true, true),
        ("Cookie", false, true),
        ("User-Agent", false, false),
        ("X-Amz-Meta-My-Key", false, false),
    ] {
        for (program, replaced) in [(&closed, by_default), (&open, by_name)] {
            let before = host.seen().await.len();
            let line = format!("{header}: s={}\r\n", program.placeholder("a/key"));
            let (status, code) = said(program, &host, "/", &line).await;
            let seen = host.seen().await.split_off(before);
            let arrived = seen.first().is_some_and(|seen| seen.header(header) == format!("s={KEY}"));
            assert_eq!(arrived, replaced, "{header}: {status} {code}");
            assert_eq!(code, if replaced { "" } else { "placeholder_wrong_place" }, "{header}");
        }
    }
    // What only looks like a credential by its name passes, too, as the documentation says.
    assert_eq!(
        said(&closed, &host, "/?syncToken=CPDAlvWDx70CEPDAlvWDx70CGAU", "Mcp-Session-Id: x\r\n").await.0,
        200
    );
    closed.assert_clean();
    open.assert_clean();
}

#[tokio::test]
async fn what_reaches_a_host_is_of_our_account_or_of_nobodys() {
    let host = Host::start().await;
    let program = bearer(&host);
    let key = program.placeholder("openai/key").to_owned();
    let foreign = "sk-of-somebody-else-0123456789";
    for header in [
        "Authorization: Bearer",
        "X-Api-Key:",
        "Api-Key:",
        "X-Goog-Api-Key:",
        "Private-Token:",
        "Cookie: session=",
        "Authorization: Basic",
        "Proxy-Authorization: Basic",
        "X-Auth-Token:",
        "Job-Token:",
        "Fastly-Key:",
        "X-TrackerToken:",
        "Grpc-Metadata-Authorization: Bearer",
        "Grpc-Metadata-Token:",
        "X-JFrog-Art-Api:",
        "X-Authorization:",
        "Token:",
        "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.",
    ] {
        let refused = said(&program, &host, "/", &format!("{header} {foreign}\r\n")).await;
        assert_eq!(refused, (403, "foreign_credential".to_owned()), "{header}");
    }
    for query in [
        "access_token=x",
        "api_key=x",
        "a=b;%61pi_key=x",
        "Access_Token=x",
        "sig=x",
        "access.token=x",
        "+access_token=x",
        "api_token=x",
        "jwt=x",
        "Signature=x",
        "AWSAccessKeyId=x",
        "passWord=x",
        "jWT=x",
    ] {
        let refused = said(&program, &host, &format!("/?{query}"), "").await;
        assert_eq!(refused, (403, "foreign_credential".to_owned()), "{query}");
    }
    for name in ["key", "a=b&token", "a=b;%6bey", "toKen"] {
        let refused =
            said(&program, &host, &format!("/?{name}=AIzaSyD9fQ2xT7vKp3mWz8RbLc4NhYgJq5"), "").await;
        assert_eq!(refused, (403, "foreign_credential".to_owned()), "{name}");
    }
    let basic = encoded(&format!("somebody:else:{key}"));
    assert_eq!(said(&program, &host, "/", &format!("Authorization: Basic {basic}\r\n")).await.0, 403);
    assert!(host.seen().await.is_empty());
    for passes in [
        "".to_owned(),
        format!("Authorization: Bearer {key}\r\n"),
        "Authorization: \r\n".to_owned(),
        "X-Note: sk-123\r\n".to_owned(),
        "X-CSRF-Token: sk-123\r\n".to_owned(),
        program.authorization().replace("Basic", "basic"),
    ] {
        assert_eq!(
            said(&program, &host, "/?key=folder/file.txt&token=&page_token=x", &passes).await.0,
            200,
            "{passes}"
        );
    }
    // A host's own cookie comes back, as from every client that keeps them; another's does not.
    host.serves("/login", "Set-Cookie: __cf_bm=abc; Path=/; Secure\nSet-Cookie: b=c", b"hello", 99).await;
    assert_eq!(said(&program, &host, "/", "Cookie: __cf_bm=abc\r\n").await.1, "foreign_credential");
    assert_eq!(said(&program, &host, "/login", "").await.0, 200);
    assert_eq!(said(&program, &host, "/", "Cookie: __cf_bm=abc; b=c\r\n").await.0, 200);
    assert_eq!(host.seen().await.last().unwrap().header("cookie"), "__cf_bm=abc; b=c");
    assert_eq!(
        said(&program, &host, "/", "Cookie: __cf_bm=abc; session=x\r\n").await.1,
        "foreign_credential"
    );
    program.assert_clean();
}

#[tokio::test]
async fn the_header_that_takes_the_value_is_called_what_it_is_called() {
    let host = Host::start().await;
    let named = seal(&host.name(), Some(Inject::Header { name: "access_token".to_owned() }));
    let program = Program::start(terms(vec![sealed("a/key", KEY, named)], &host));
    let own = format!("access_token: {}\r\n", program.placeholder("a/key"));
    for (headers, status, code) in [
        ("", 200, ""),
        (own.as_str(), 200, ""),
        ("access_token: of-somebody-else\r\n", 403, "foreign_credential"),
        ("other_token: x\r\n", 400, "header_name"),
        ("session_id: x\r\n", 400, "header_name"),
        ("conversation_id: x\r\n", 400, "header_name"),
    ] {
        assert_eq!(said(&program, &host, "/", headers).await, (status, code.to_owned()), "{headers}");
    }
    assert!(host.seen().await.iter().all(|seen| seen.header("access_token") == KEY));
    program.assert_clean();
}

#[tokio::test]
async fn a_page_of_another_site_gets_no_value() {
    let host = Host::start().await;
    let program = bearer(&host);
    let own = format!("https://{}", host.name());
    let socket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for headers in [
        "Origin: https://evil.example\r\n".to_owned(),
        "Origin: null\r\n".to_owned(),
        "Origin: https://localhost\r\n".to_owned(),
        format!("Origin: http://{}\r\n", host.name()),
        format!("Origin: {own}.evil.example\r\n"),
        format!("Origin: {own}\r\nOrigin: https://evil.example\r\n"),
        "Sec-Fetch-Site: cross-site\r\n".to_owned(),
        "Sec-Fetch-Site: same-site\r\n".to_owned(),
        format!("{socket}Origin: https://evil.example\r\n"),
    ] {
        let refused = said(&program, &host, "/", &headers).await;
        assert_eq!(refused, (403, "foreign_origin".to_owned()), "{headers}");
    }
    assert!(host.seen().await.is_empty());
    for headers in [
        "".to_owned(),
        format!("Origin: {own}\r\nSec-Fetch-Site: same-origin\r\n"),
        "Sec-Fetch-Site: none\r\n".to_owned(),
    ] {
        assert_eq!(said(&program, &host, "/", &headers).await.0, 200, "{headers}");
    }
    program.assert_clean();
}

#[tokio::test]
async fn a_request_is_of_the_method_and_path_that_it_says() {
    let host = Host::start().await;
    let at = host.name();
    let mut restricted = seal(&at, Some(Inject::Bearer));
    restricted.methods = Some(["GET".to_owned(), "POST".to_owned()].into());
    restricted.paths = Some(vec![PathPattern::parse("/v1/**").unwrap()]);
    let program = Program::start(terms(vec![sealed("openai/key", KEY, restricted)], &host));
    for query in [
        "_method=DELETE",
        "a=b&_METHOD=DELETE",
        "%5Fmethod=DELETE",
        "_%6Dethod=DELETE",
        "%255fmethod=x",
        "X-HTTP-Method-Override=DELETE",
        "_method%00x=DELETE",
    ] {
        let refused = said(&program, &host, &format!("/v1/a?{query}"), "").await;
        assert_eq!(refused, (403, "override".to_owned()), "{query}");
    }
    for header in [
        "X_HTTP_Method_Override: DELETE",
        "X-HTTP-Method-Override: DELETE",
        "X-HTTP-Method: DELETE",
        "X-Method-Override: DELETE",
        "X-Original-URL: /admin",
        "X-Original-URI: /admin",
        "X-Rewrite-URL: /admin",
        "Destination: /admin",
        "X-Amz-Copy-Source: /other/key",
        "X-Ms-Rename-Source: /admin",
        "X-Script-Name: /admin",
    ] {
        let (status, code) = said(&program, &host, "/v1/a", &format!("{header}\r\n")).await;
        assert!(
            status >= 400 && matches!(code.as_str(), "override" | "header_name"),
            "{header}: {status} {code}"
        );
    }
    let post = |kind: &str, body: &str| {
        let head = format!(
            "POST /v1/a HTTP/1.1\r\nHost: {at}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n",
            body.len()
        );
        format!("{head}Connection: close\r\n\r\n{body}").into_bytes()
    };
    for (kind, body) in [
        ("application/x-www-form-urlencoded", "a=1&_method=DELETE"),
        ("application/json", "{\"_method\": \"DELETE\"}"),
        ("text/plain", "{\"_method\": \"DELETE\"}"),
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data; name=\"_method\"\r\n\r\nDELETE\r\n--x--\r\n",
        ),
    ] {
        let got = program.inside(&at, &post(kind, body)).await;
        assert!(got.starts_with("HTTP/1.1 403") && got.contains("(override)"), "{kind}: {got}");
    }
    assert!(
        host.seen().await.iter().all(|seen| seen.body.is_empty() && seen.line.is_empty()),
        "{:?}",
        host.seen().await
    );
    for (kind, body) in [
        ("application/x-www-form-urlencoded", "a=1&method=card"),
        ("application/json", "{\"method\": \"_method\"}"),
    ] {
        assert!(program.inside(&at, &post(kind, body)).await.starts_with("HTTP/1.1 200"), "{kind}");
    }
    assert_eq!(said(&program, &host, "/v1/a?method=x", "").await.0, 200);
    program.assert_clean();
}
