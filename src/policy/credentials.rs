//! Where requests carry credentials: the one list of it. A placeholder is replaced in few of these places, which are known
//! for it; a host that is sent a credential of ours is sent no other in any of them.

/// Headers that carry credentials and have names of their own.
const HEADERS: &[&str] = &[
    // RFC 9110, section 11.6.2.
    "authorization",
    // Azure (OpenAI, AI Search, Maps); others begin theirs with a vendor's name, see `is_header`.
    "api-key",
    // Supabase, Kong.
    "apikey",
    // GitLab: personal, group and project tokens.
    "private-token",
];

/// What a segment of a header's name says against a credential, though the name ends as a credential's does: hosts keep
/// these and show them again.
const KEPT: &[&str] = &[
    // Metadata of stored objects: x-amz-meta-*, x-goog-meta-*, x-object-meta-*.
    "meta",
    "metadata",
    // Written into logs and answers to tell requests apart.
    "idempotency",
    "request",
    "trace",
    "correlation",
    // Say where something lies, in caches and stores.
    "cache",
    "surrogate",
    "partition",
    "routing",
    // Keys by which a store encrypts an object (x-amz-server-side-encryption-customer-key): no account's.
    "encryption",
];

/// What such a word says against a key or a token, in a header or in a query: it is one of a page, an upload or a form.
const OF_A_PART: &[&str] = &[
    "csrf",
    "xsrf",
    "client",
    "continuation",
    "page",
    "next",
    "upload",
    "sort",
    "info",
    "tag",
    "label",
    "object",
    "custom",
    "partitionkey",
];

/// Words at whose end a name speaks of a credential, whatever else is in it.
const SURE: &[&str] = &[
    "secret",
    "password",
    "passwd",
    "credential",
    "credentials",
    "signature",
    "jwt",
    "assertion",
    "auth",
    "authorization",
    "authentication",
];

/// The same of words that mean other things, too.
const PERHAPS: &[&str] = &["key", "token", "session"];

/// Headers that carry credentials, or say whose they are, without such a word.
const WITHOUT_A_WORD: &[&str] = &["x-honeycomb-team", "x-github-otp", "x-jfrog-art-api"];

/// Before what grpc-gateway passes on to a service as metadata of a call: the service reads the rest as the name.
const OF_A_CALL: &str = "grpc-metadata-";

/// Headers with such a word that tell apart what clients of their hosts do, and open nothing: of Claude Code, and of Cosmos
/// DB (consistency).
const NO_CREDENTIAL: &[&str] = &[
    "x-claude-code-session-id",
    "x-ms-session-token",
    // npm: how it would sign in, and a number of its own run.
    "npm-auth-type",
    "npm-session",
];

/// Names by which a query carries credentials, in lower case and without signs, beside those that end in a sure word
/// (`client_secret`, `X-Amz-Credential`). Services have more.
const QUERIES: &[&str] = &[
    // RFC 6750, section 2.3.
    "accesstoken",
    // Google, and many others.
    "apikey",
    "apitoken",
    "authtoken",
    "oauthtoken",
    // GitLab.
    "privatetoken",
    // Azure API Management.
    "subscriptionkey",
    // Presigned requests of AWS, Google Cloud and Azure, whose signature is another account's.
    "xamzsecuritytoken",
    "awsaccesskeyid",
    "googleaccessid",
    "sig",
];

/// Whether a header carries credentials, by its name in lower case: one of the list, a vendor's key (`*-api-key`), or a
/// key or token that is no standard header (`x-*-key`, `x-*-token`).
pub(crate) fn is_header(name: &str) -> bool {
    let mut segments = name.split('-');
    let (first, last) = (segments.clone().next(), segments.clone().next_back());
    let own = first == Some("x") && matches!(last, Some("key" | "token"));
    let kept = segments.any(|segment| KEPT.contains(&segment) || OF_A_PART.contains(&segment))
        || first == Some("proxy");
    HEADERS.contains(&name) || ((own || name.ends_with("-api-key")) && !kept)
}

/// Whether a header may carry credentials: by any word of it, in lower case. A handshake's key is none (RFC 6455).
pub(crate) fn may_be_header(name: &str) -> bool {
    if name.starts_with("sec-") || NO_CREDENTIAL.contains(&name) {
        return false;
    }
    let name = name.strip_prefix(OF_A_CALL).unwrap_or(name);
    let segments: Vec<&str> = name.split('-').collect();
    let any = |words: &[&str]| segments.iter().any(|segment| ends(segment, words));
    let one = |words: &[&str]| segments.iter().any(|segment| words.contains(segment));
    let known = HEADERS.contains(&name) || WITHOUT_A_WORD.contains(&name);
    known || (!one(KEPT) && (any(SURE) || (any(PERHAPS) && !one(OF_A_PART))))
}

fn ends(segment: &str, words: &[&str]) -> bool {
    words.iter().any(|word| segment.ends_with(word))
}

/// What a part of a query holds, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InQuery {
    Credential,
    /// If it looks like one: `key` and `token` are names of files and of pages, too.
    PerhapsCredential,
    Other,
}

/// What a part of a query holds, by its name without an encoding.
pub(crate) fn in_query(name: &str) -> InQuery {
    let words = words(name);
    // Whole, however it is cut into words: `passWord` and `toKen` end as `password` and `token` do.
    let whole = words.concat();
    if QUERIES.contains(&whole.as_str()) {
        return InQuery::Credential;
    }
    let one = |of: &[&str]| words.iter().any(|word| of.contains(&word.as_str()));
    match (ends(&whole, SURE), ends(&whole, PERHAPS) && !one(KEPT) && !one(OF_A_PART)) {
        (true, _) => InQuery::Credential,
        (_, true) => InQuery::PerhapsCredential,
        _ => InQuery::Other,
    }
}

/// A name as PHP and others take it, to whom `access.token` and ` access_token` are one: letters and digits, in lower case.
pub(crate) fn squeezed(name: &str) -> String {
    words(name).concat()
}

/// The words of a name, up to its index: `pageToken` and `page_token` have two.
fn words(name: &str) -> Vec<String> {
    let name = name.split(['\0', '[']).next().unwrap_or_default();
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() || (c.is_ascii_uppercase() && before.is_ascii_lowercase()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_ascii_alphanumeric()) {
            word.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_carries_credentials_is_known_by_its_name() {
        for name in [
            "authorization",
            "x-api-key",
            "x-goog-api-key",
            "x-token",
            "x-auth-token",
            "x-vault-token",
            "api-key",
            "dd-api-key",
            "private-token",
            "x-auth-key",
            "x-shopify-access-token",
            "x-amz-security-token",
        ] {
            assert!(is_header(name), "{name}");
        }
        for name in [
            "user-agent",
            "referer",
            "cookie",
            "x-amz-meta-note",
            "x-amz-meta-my-key",
            "x-goog-meta-token",
            "x-idempotency-key",
            "x-request-token",
            "x-cache-key",
            "proxy-authorization",
            "proxy-api-key",
            "x-monkey",
            "origin",
            "accept",
            "x-keyed",
            "idempotency-key",
            "key",
            "token",
            "x-bz-info-token",
            "x-tag-key",
            "x-object-key",
            "x-csrf-token",
            "job-token",
        ] {
            assert!(!is_header(name), "{name}");
        }
    }

    #[test]
    fn what_may_carry_credentials_is_refused_by_any_word_of_its_name() {
        for name in [
            "authorization",
            "api-key",
            "apikey",
            "job-token",
            "deploy-token",
            "fastly-key",
            "circle-token",
            "ocp-apim-subscription-key",
            "x-ms-authorization-auxiliary",
            "x-trackertoken",
            "x-sentry-auth",
            "x-honeycomb-team",
            "dd-application-key",
            "x-authorization",
            "x-api-secret",
            "x-client-secret",
            "token",
            "x-session-id",
            "grpc-metadata-authorization",
            "grpc-metadata-token",
            "grpc-metadata-x-api-key",
            "x-jfrog-art-api",
            "x-auth-email",
            "x-auth-user",
        ] {
            assert!(may_be_header(name), "{name}");
        }
        for name in [
            "accept",
            "npm-auth-type",
            "npm-session",
            "x-csrf-token",
            "x-amz-meta-my-key",
            "x-idempotency-key",
            "sec-websocket-key",
            "x-upload-token",
            "x-claude-code-session-id",
            "keep-alive",
            "x-author",
            "openai-organization",
            "anthropic-version",
            "x-stainless-lang",
            "x-ms-documentdb-partitionkey",
            "x-amz-content-sha256",
            "x-amz-metadata-token",
            "grpc-metadata-note",
            "grpc-metadata-x-request-token",
        ] {
            assert!(!may_be_header(name), "{name}");
        }
        for (name, holds) in [
            ("access_token", InQuery::Credential),
            ("access.token", InQuery::Credential),
            (" access_token", InQuery::Credential),
            ("access_token[]", InQuery::Credential),
            ("AWSAccessKeyId", InQuery::Credential),
            ("Signature", InQuery::Credential),
            ("api_token", InQuery::Credential),
            ("subscription-key", InQuery::Credential),
            ("jwt", InQuery::Credential),
            ("client_secret", InQuery::Credential),
            ("clientsecret", InQuery::Credential),
            ("X-Amz-Credential", InQuery::Credential),
            ("xGoogSignature", InQuery::Credential),
            ("passWord", InQuery::Credential),
            ("jWT", InQuery::Credential),
            ("sEcret", InQuery::Credential),
            ("key", InQuery::PerhapsCredential),
            ("Token", InQuery::PerhapsCredential),
            ("user_token", InQuery::PerhapsCredential),
            ("toKen", InQuery::PerhapsCredential),
            ("userToKen", InQuery::PerhapsCredential),
            ("pageToKen", InQuery::Other),
            ("page_token", InQuery::Other),
            ("nextPageToken", InQuery::Other),
            ("continuation-token", InQuery::Other),
            ("key-marker", InQuery::Other),
            ("q", InQuery::Other),
            ("", InQuery::Other),
        ] {
            assert_eq!(in_query(name), holds, "{name}");
        }
    }

    #[test]
    fn the_documentation_names_what_is_refused_although_it_opens_nothing() {
        let text = include_str!("../../docs/sealed.md");
        let (_, table) = text.split_once("| refused | what sends it |\n|---|---|\n").unwrap();
        let rows = table.lines().take_while(|row| row.starts_with('|'));
        let cells = rows.map(|row| row.split('|').nth(1).unwrap());
        let named: Vec<&str> = cells.flat_map(|names| names.split('`').skip(1).step_by(2)).collect();
        assert_eq!(
            named,
            [
                "Mcp-Session-Id",
                "Session-Id",
                "X-Session-Id",
                "X-Session-Affinity",
                "Kubectl-Session",
                "X-NuGet-Session-Id",
                "X-Atlassian-Token",
                "X-CSRFToken",
                "RequestVerificationToken",
                "RequestToken",
                "Lock-Token",
                "?$skiptoken",
                "?$deltatoken",
                "?syncToken",
                "?pagination_token",
                "?resumptionToken",
                "?sessiontoken",
            ]
        );
        for name in named {
            let refused = match name.strip_prefix('?') {
                Some(field) => in_query(field) == InQuery::PerhapsCredential,
                None => may_be_header(&name.to_ascii_lowercase()),
            };
            assert!(refused, "{name}");
        }
    }
}
