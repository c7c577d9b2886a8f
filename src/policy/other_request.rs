//! Headers by which a request is another than it says, or of somebody else.

/// Whether a header makes a request one of another method (`X-HTTP-Method-Override`), path (`X-Original-URL`,
/// `X-Rewrite-URL`) or host.
pub(crate) fn is_meant_by(name: &str) -> bool {
    name.contains("method-override")
        || name.starts_with("x-http-method")
        || name == "x-method"
        || name.starts_with("x-original-")
        || name.starts_with("x-rewrite-")
        || name.ends_with("-host-override")
        || name == "x-host"
}

/// Whether a header says what only a proxy before the host knows: who asked, by which way, and for what (RFC 7239; RFC 9110,
/// section 7.6.3; Envoy; what CDNs add). A host that believes it takes the program for somebody else, or its path for
/// another.
pub(crate) fn speaks_for_a_proxy(name: &str) -> bool {
    name == "forwarded"
        || name == "via"
        || name.starts_with("x-forwarded")
        || name.starts_with("x-envoy-")
        || name.starts_with("x-proxy")
        || name.starts_with("x-remote-")
        || name.starts_with("x-originating-")
        || name == "client-ip"
        || ["-client-ip", "-real-ip", "-connecting-ip"].iter().any(|end| name.ends_with(end))
}

/// Whether a header names a second resource that a request reads or writes (RFC 4918, section 10.3; Amazon S3, Azure Storage
/// and Data Lake, Swift), or where an application lies (WSGI behind nginx).
pub(crate) fn has_a_path(name: &str) -> bool {
    ["destination", "script-name", "x-script-name", "x-symlink-target", "x-object-manifest"].contains(&name)
        || ["-copy-source", "-rename-source", "-copy-from"].iter().any(|word| name.contains(word))
}
