//! Placeholders become values: only those whose secret may go with the request, only in the places that the
//! policy opens, and written as the place needs. A placeholder anywhere else refuses the request.

use std::{collections::BTreeSet, fmt::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Body as _;
use zeroize::Zeroizing;

use super::{
    authority::HostPort,
    body::Body,
    inject::sensitive,
    refusal::{self, Refusal},
    rules::{EgressRules, SealedSecret},
};
use crate::{names::SecretName, policy::SubstitutionSite};

/// The largest body that is read whole, to be replaced in or signed.
pub(super) const WHOLE_BODY: usize = 8 << 20;

/// Writes a value as a place needs it; nothing where it can't stand there.
type Encode = fn(&[u8]) -> Option<Zeroizing<Vec<u8>>>;

/// What a WebSocket's text messages have replaced: placeholder, value, secret.
pub(super) type Replacements = Vec<(String, Zeroizing<Vec<u8>>)>;

/// The places of one request.
pub(super) struct Places<'a> {
    pub rules: &'a EgressRules,
    /// The secrets that may go with it.
    pub fitting: &'a [&'a SealedSecret],
    pub to: &'a HostPort,
    /// Those that do.
    pub used: &'a mut BTreeSet<SecretName>,
}

impl Places<'_> {
    /// Replaces in a path: a value there is one segment, or a part of one.
    pub(super) fn in_path(&mut self, path: &str) -> Result<String, Refusal> {
        self.in_text(path, &SubstitutionSite::Path, percent)
    }

    /// Replaces in a query.
    pub(super) fn in_query(&mut self, query: &str) -> Result<String, Refusal> {
        self.in_text(query, &SubstitutionSite::Query, percent)
    }

    /// Replaces in the headers that are open, also inside of `Basic` credentials. Where the proxy sets a header itself, a
    /// placeholder there is as good as nothing.
    pub(super) fn in_headers(&mut self, headers: &mut HeaderMap) -> Result<(), Refusal> {
        let mut set_anew = Vec::new();
        for (name, value) in headers.iter_mut() {
            if self.rules.held.iter().any(|held| {
                contains(name.as_str().as_bytes(), held.placeholder.to_ascii_lowercase().as_bytes())
            }) {
                return Err(refusal::WRONG_PLACE);
            }
            match self.in_header(name.as_str(), value.as_bytes())? {
                InHeader::Nothing => {}
                InHeader::New(new) => *value = sensitive(&new)?,
                InHeader::SetAnew => set_anew.push(name.clone()),
            }
        }
        for name in set_anew {
            headers.remove(name);
        }
        Ok(())
    }

    fn in_header(&mut self, name: &str, value: &[u8]) -> Result<InHeader, Refusal> {
        let credentials =
            value.get(..6).filter(|scheme| scheme.eq_ignore_ascii_case(b"basic ")).map(|_| &value[6..]);
        let decoded = credentials.and_then(|text| STANDARD.decode(text.trim_ascii()).ok());
        let texts = [Some(value), decoded.as_deref()];
        if texts.into_iter().flatten().any(|text| self.is_set_anew(name, text)) {
            return Ok(InHeader::SetAnew);
        }
        let open = |site: &SubstitutionSite| site.is_header(name);
        if let Some(new) = self.replaced(value, &open, plain)? {
            return Ok(InHeader::New(new));
        }
        let Some(decoded) = decoded else { return Ok(InHeader::Nothing) };
        let new = self.replaced(&decoded, &open, plain)?;
        let basic = |new: Zeroizing<Vec<u8>>| [b"Basic ", STANDARD.encode(&*new).as_bytes()].concat();
        Ok(new.map_or(InHeader::Nothing, |new| InHeader::New(Zeroizing::new(basic(new)))))
    }

    /// Whether a header holds the placeholder of a secret that the proxy puts there, or in another place of its service, by
    /// itself.
    fn is_set_anew(&self, name: &str, text: &[u8]) -> bool {
        self.fitting.iter().any(|held| {
            let sets = !signed_anew(held) && held.seal.sets(name);
            sets && contains(text, held.placeholder.as_bytes())
        })
    }

    fn in_text(&mut self, text: &str, place: &SubstitutionSite, encode: Encode) -> Result<String, Refusal> {
        let replaced = self.replaced(text.as_bytes(), &|site| site == place, encode)?;
        match replaced {
            None => Ok(text.to_owned()),
            Some(new) => String::from_utf8(new.to_vec()).map_err(|_| refusal::NOT_IN_PLACE),
        }
    }

    /// Replaces in JSON, form and text bodies, where the policy opens them; all others pass as they come.
    pub(super) async fn in_body(&mut self, headers: &HeaderMap, body: Body) -> Result<Body, Refusal> {
        let open = self.fitting.iter().any(|held| held.seal.substitute.contains(&SubstitutionSite::Body));
        let encode = encoder(headers).filter(|_| open && !body.is_end_stream());
        let Some(encode) = encode else { return Ok(body) };
        let whole = collect(body).await?;
        let replaced = self.replaced(&whole, &|site| *site == SubstitutionSite::Body, encode)?;
        let bytes = replaced.map_or(whole, |new| Bytes::copy_from_slice(&new));
        Ok(Full::new(bytes).map_err(|never| match never {}).boxed_unsync())
    }

    /// What is replaced in text messages to the server.
    pub(super) fn for_websocket(&self) -> Replacements {
        let open =
            self.fitting.iter().filter(|held| held.seal.substitute.contains(&SubstitutionSite::Websocket));
        open.map(|held| (held.placeholder.clone(), Zeroizing::new(held.bytes().to_vec()))).collect()
    }

    fn replaced(
        &mut self,
        text: &[u8],
        open: &dyn Fn(&SubstitutionSite) -> bool,
        encode: Encode,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Refusal> {
        let mut new: Option<Zeroizing<Vec<u8>>> = None;
        for held in &self.rules.held {
            let now = new.as_ref().map_or(text, |new| new.as_slice());
            if !contains(now, held.placeholder.as_bytes()) {
                continue;
            }
            if !held.goes_to(self.to) {
                return Err(refusal::WRONG_HOST);
            }
            let fits = self.fitting.iter().any(|fitting| fitting.name == held.name);
            if !fits || !held.seal.substitute.iter().any(open) {
                // The access key of a signature is signed anew, wherever the program put it.
                if signed_anew(held) {
                    continue;
                }
                return Err(refusal::WRONG_PLACE);
            }
            let value = encode(held.bytes()).ok_or(refusal::NOT_IN_PLACE)?;
            new = Some(replace(now, held.placeholder.as_bytes(), &value));
            self.used.insert(held.name.clone());
        }
        Ok(new)
    }
}

/// What becomes of a header.
enum InHeader {
    /// It has no placeholder.
    Nothing,
    New(Zeroizing<Vec<u8>>),
    /// The proxy sets it, or what stands for it.
    SetAnew,
}

fn signed_anew(held: &SealedSecret) -> bool {
    matches!(&held.seal.inject, Some(crate::policy::Inject::AwsSigV4(_)))
}

/// Reads a body whole, up to a limit.
pub(super) async fn collect(mut body: Body) -> Result<Bytes, Refusal> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| refusal::MALFORMED)?.into_data() else { continue };
        if whole.len() + data.len() > WHOLE_BODY {
            return Err(refusal::TOO_LARGE);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// How a value is written in a body of this type; nothing where the type is none in which one is replaced.
fn encoder(headers: &HeaderMap) -> Option<Encode> {
    let coded = headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity");
    let kind = headers.get(header::CONTENT_TYPE).map_or(Some(""), |kind: &HeaderValue| kind.to_str().ok())?;
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let encode: Option<Encode> = match kind.as_str() {
        "application/x-www-form-urlencoded" => Some(percent),
        "application/json" | "application/x-ndjson" => Some(json),
        kind if kind.ends_with("+json") => Some(json),
        kind if kind.starts_with("text/")
            || kind == "multipart/form-data"
            || kind == "application/graphql" =>
        {
            Some(plain)
        }
        _ => None,
    };
    encode.filter(|_| !coded)
}

fn plain(value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    Some(Zeroizing::new(value.to_vec()))
}

/// All but the unreserved characters as `%XX` (RFC 3986, section 2.3).
fn percent(value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(String::with_capacity(value.len() * 3));
    for &byte in value {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("a string takes all");
        }
    }
    Some(Zeroizing::new(text.as_bytes().to_vec()))
}

/// The inside of a JSON string (RFC 8259, section 7).
pub(super) fn json(value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(value).ok()?;
    let quoted = Zeroizing::new(serde_json::to_string(text).ok()?);
    Some(Zeroizing::new(quoted.as_bytes()[1..quoted.len() - 1].to_vec()))
}

pub(super) fn contains(text: &[u8], wanted: &[u8]) -> bool {
    memchr::memmem::find(text, wanted).is_some()
}

/// Every occurrence of a text replaced by another.
pub(super) fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() + to.len()));
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}
