//! Where requests carry credentials: the one list of it. A placeholder is replaced in these places, and a host that is
//! sent a credential of ours is sent no other in them.

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

/// Names by which a query carries credentials, in lower case. Services have more.
const QUERIES: &[&str] = &[
    // RFC 6750, section 2.3.
    "access_token",
    // Google, and many others.
    "key",
    "api_key",
    "api-key",
    "apikey",
    "token",
    "auth_token",
    "oauth_token",
    // GitLab.
    "private_token",
    // RFC 6749, section 2.3.1.
    "client_secret",
    // Presigned requests of AWS, Google Cloud and Azure, whose signature is another account's.
    "x-amz-credential",
    "x-amz-signature",
    "x-goog-credential",
    "x-goog-signature",
    "sig",
];

/// Whether a header carries credentials, by its name in lower case: one of the list, a vendor's key (`*-api-key`), or a
/// key or token that is no standard header (`x-*-key`, `x-*-token`).
pub(crate) fn is_header(name: &str) -> bool {
    let mut segments = name.split('-');
    let (first, last) = (segments.clone().next(), segments.clone().next_back());
    let own = first == Some("x") && matches!(last, Some("key" | "token"));
    let kept = segments.any(|segment| KEPT.contains(&segment)) || first == Some("proxy");
    HEADERS.contains(&name) || ((own || name.ends_with("-api-key")) && !kept)
}

/// Whether a part of a query carries credentials, by its name.
pub(crate) fn is_query(name: &str) -> bool {
    QUERIES.contains(&name.to_ascii_lowercase().as_str())
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
        ] {
            assert!(!is_header(name), "{name}");
        }
        assert!(is_query("access_token") && is_query("Key") && !is_query("page_token") && !is_query("q"));
    }
}
