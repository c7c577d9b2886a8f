//! Forged tokens, a line a forgery.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use jiff::Timestamp;
use proptest::prelude::*;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{Class, Order, Revocations, TokenError, TokenKeys};
use crate::names::ScopeName;

const SESSION: [u8; 32] = [7; 32];
const DELEGATED: [u8; 32] = [8; 32];
const NOW: i64 = 1_800_000_000;

fn keys() -> TokenKeys {
    TokenKeys::new("authy-mcp:test".into(), &SESSION, &DELEGATED)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the test looks at tokens")]
fn token(class: Class) -> String {
    let order = Order {
        class,
        sub: "agent-1".into(),
        scope: ScopeName::parse("deploy").unwrap(),
        secrets: None,
        commands: None,
        ttl: Duration::from_secs(60),
    };
    keys().issue(order, at(NOW)).0.expose_secret().to_owned()
}

fn claims() -> Value {
    json!({"iss": "authy-mcp:test", "aud": "authy-mcp", "sub": "agent-1", "jti": "t_abc", "iat": NOW, "nbf": NOW,
           "exp": NOW + 60, "scope": "deploy"})
}

fn forge(header: &Value, claims: &Value, seed: &[u8; 32]) -> String {
    let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = SigningKey::from_bytes(seed).sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

fn good_header() -> Value {
    json!({"alg": "EdDSA", "typ": "JWT", "kid": "session"})
}

fn verify(token: &str, now: i64) -> Result<Class, TokenError> {
    keys().verify(token, &Revocations::default(), at(now)).map(|(class, _)| class)
}

#[test]
fn what_was_issued_holds_until_its_end() {
    for class in [Class::Session, Class::Delegated] {
        assert_eq!(verify(&token(class), NOW), Ok(class));
        assert_eq!(verify(&token(class), NOW + 64), Ok(class), "leeway");
        assert_eq!(verify(&token(class), NOW + 65), Err(TokenError::Expired));
        assert_eq!(verify(&token(class), NOW - 5), Ok(class), "leeway");
        assert_eq!(verify(&token(class), NOW - 6), Err(TokenError::Invalid));
    }
    assert_eq!(
        verify(&forge(&good_header(), &claims(), &SESSION), NOW),
        Ok(Class::Session),
        "the forgeries' base is good"
    );
}

#[test]
fn every_claim_is_required() {
    for claim in ["iss", "aud", "sub", "jti", "iat", "nbf", "exp", "scope"] {
        let mut less = claims();
        less.as_object_mut().unwrap().remove(claim);
        assert_eq!(verify(&forge(&good_header(), &less, &SESSION), NOW), Err(TokenError::Invalid), "{claim}");
    }
}

#[test]
fn forgeries() {
    let with = |key: &str, value: Value| {
        let mut other = claims();
        other[key] = value;
        other
    };
    let header = |key: &str, value: Value| {
        let mut other = good_header();
        other[key] = value;
        other
    };
    let unsigned = |alg: &str| {
        let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        format!("{}.{}.", encode(&header("alg", json!(alg))), encode(&claims()))
    };
    for (what, token) in [
        ("another vault's issuer", forge(&good_header(), &with("iss", json!("authy-mcp:other")), &SESSION)),
        ("another audience", forge(&good_header(), &with("aud", json!("other")), &SESSION)),
        ("another key", forge(&good_header(), &claims(), &[9; 32])),
        ("the other class's key", forge(&good_header(), &claims(), &DELEGATED)),
        ("the other class's name", forge(&header("kid", json!("delegated")), &claims(), &SESSION)),
        ("an unknown class", forge(&header("kid", json!("operator")), &claims(), &SESSION)),
        ("no class", forge(&json!({"alg": "EdDSA"}), &claims(), &SESSION)),
        ("no algorithm", unsigned("none")),
        ("a shared secret", forge(&header("alg", json!("HS256")), &claims(), &SESSION)),
        ("another curve", forge(&header("alg", json!("ES256")), &claims(), &SESSION)),
        ("no signature", unsigned("EdDSA")),
        ("a bad scope", forge(&good_header(), &with("scope", json!("../x")), &SESSION)),
        ("a bad id", forge(&good_header(), &with("jti", json!("x y")), &SESSION)),
        ("a fourth part", format!("{}.x", token(Class::Session))),
        ("nothing", String::new()),
        ("dots", "..".into()),
        ("far too long", "a".repeat(100_000)),
    ] {
        assert_eq!(verify(&token, NOW), Err(TokenError::Invalid), "{what}");
    }
}

#[test]
fn revocations_hold() {
    let token = token(Class::Session);
    let (_, claims) = keys().verify(&token, &Revocations::default(), at(NOW)).unwrap();
    let mut revoked = Revocations::default();
    revoked.tokens.insert(claims.jti, at(NOW));
    assert_eq!(keys().verify(&token, &revoked, at(NOW)), Err(TokenError::Revoked));
    let mut revoked = Revocations::default();
    revoked.not_before.insert("agent-1".into(), NOW + 1);
    assert_eq!(keys().verify(&token, &revoked, at(NOW)), Err(TokenError::Revoked));
    revoked.not_before.insert("agent-1".into(), NOW);
    assert!(keys().verify(&token, &revoked, at(NOW)).is_ok());
}

proptest! {
    #[test]
    fn no_changed_byte_is_accepted(at_byte in 0usize..400, bit in 0u8..7) {
        let token = token(Class::Session);
        let mut bytes = token.clone().into_bytes();
        let index = at_byte % bytes.len();
        bytes[index] ^= 1 << bit;
        let changed = String::from_utf8(bytes).unwrap();
        // The last character of a part has bits that base64 does not use: those it must refuse, too.
        prop_assert!(verify(&changed, NOW).is_err(), "byte {index} bit {bit}");
    }
}
