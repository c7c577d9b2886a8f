//! AWS signatures (version 4): what the program signed with placeholders is signed anew with the sealed keys.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningParams,
        SigningSettings, UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use http::{HeaderMap, HeaderName, header};
use http_body_util::{BodyExt, Full};

use super::{
    inject::sensitive,
    outgoing::Outgoing,
    refusal::{self, Refusal},
    run::Shared,
    substitute::collect,
};
use crate::policy::SigV4;

/// Services that sign a path as it is, and want the body's digest in a header.
const AS_IT_IS: &[&str] = &["s3", "s3-object-lambda", "s3-outposts", "s3express"];
const DIGEST: &str = "x-amz-content-sha256";

/// Signs a request with the sealed keys.
pub(super) async fn signed(mut outgoing: Outgoing, run: &Shared, keys: &SigV4) -> Result<Outgoing, Refusal> {
    if outgoing.uri.query().is_some_and(|query| query.contains("X-Amz-Signature=")) {
        return Err(refusal::NOT_SIGNED);
    }
    let (region, service) = scope(&outgoing.headers, keys).ok_or(refusal::NOT_SIGNED)?;
    let credentials = credentials(run, keys).ok_or(refusal::NOT_SIGNED)?;
    let body = signable(&mut outgoing).await?;
    for gone in ["authorization", "x-amz-date", "x-amz-security-token", DIGEST] {
        outgoing.headers.remove(gone);
    }
    let identity = credentials.into();
    let params: SigningParams<'_> = v4::SigningParams::builder()
        .identity(&identity)
        .region(&region)
        .name(&service)
        .time(SystemTime::now())
        .settings(settings(&service))
        .build()
        .map_err(|_| refusal::NOT_SIGNED)?
        .into();
    let set = {
        let uri = outgoing.uri.to_string();
        let headers = signed_headers(&outgoing);
        let request = SignableRequest::new(outgoing.method.as_str(), uri, headers.into_iter(), body)
            .map_err(|_| refusal::NOT_SIGNED)?;
        let (instructions, _) = sign(request, &params).map_err(|_| refusal::NOT_SIGNED)?.into_parts();
        instructions.into_parts().0
    };
    for set in set {
        let name = HeaderName::from_bytes(set.name().as_bytes()).map_err(|_| refusal::NOT_SIGNED)?;
        outgoing.headers.insert(name, sensitive(set.value().as_bytes())?);
    }
    Ok(outgoing)
}

/// What AWS asks to be signed: the host, the type of the body, and its own headers.
fn signed_headers(outgoing: &Outgoing) -> Vec<(&str, &str)> {
    let own = outgoing
        .headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-amz-") || **name == header::CONTENT_TYPE);
    let own = own.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    std::iter::once(("host", outgoing.host.as_str())).chain(own).collect()
}

fn settings(service: &str) -> SigningSettings {
    let mut settings = SigningSettings::default();
    if AS_IT_IS.contains(&service) {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    settings
}

/// Region and service: the policy's, or those that the program signed for
/// (`Credential=KEY/DATE/REGION/SERVICE/aws4_request`).
fn scope(headers: &HeaderMap, keys: &SigV4) -> Option<(String, String)> {
    let signed = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|text| {
        let scope = text.strip_prefix("AWS4-HMAC-SHA256 ")?.split("Credential=").nth(1)?.split(',').next()?;
        let mut words = scope.trim().rsplit('/');
        let ("aws4_request", service, region) = (words.next()?, words.next()?, words.next()?) else {
            return None;
        };
        let plain =
            |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (plain(service) && plain(region)).then(|| (region.to_owned(), service.to_owned()))
    });
    let (region, service) = signed.unzip();
    Some((keys.region.clone().or(region)?, keys.service.clone().or(service)?))
}

fn credentials(run: &Shared, keys: &SigV4) -> Option<Credentials> {
    let text = |name| run.rules.get(name).and_then(|held| held.text());
    let token = match &keys.session_token {
        None => None,
        Some(name) => Some(text(name)?.to_string()),
    };
    let (id, key) = (text(&keys.access_key)?, text(&keys.secret_key)?);
    Some(Credentials::new(id.as_str(), key.as_str(), token, None, "authy-mcp"))
}

/// The body's digest as the program gave it, or worked out.
async fn signable(outgoing: &mut Outgoing) -> Result<SignableBody<'static>, Refusal> {
    let given = outgoing.headers.get(DIGEST).and_then(|value| value.to_str().ok()).map(str::to_owned);
    match given.as_deref() {
        Some("UNSIGNED-PAYLOAD") => Ok(SignableBody::UnsignedPayload),
        Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER") => Ok(SignableBody::StreamingUnsignedPayloadTrailer),
        Some(digest) if digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Ok(SignableBody::Precomputed(digest.to_owned()))
        }
        Some(_) => Err(refusal::NOT_SIGNED),
        None => {
            let empty = http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
            let whole = collect(std::mem::replace(&mut outgoing.body, empty)).await?;
            outgoing.body = Full::new(whole.clone()).map_err(|never| match never {}).boxed_unsync();
            use sha2::Digest as _;
            Ok(SignableBody::Precomputed(hex::encode(sha2::Sha256::digest(&whole))))
        }
    }
}
