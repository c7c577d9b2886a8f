//! Tokens: no text is one but those that a key of the vault signed, and of these none outside of its time, of
//! another vault, or of another class than its key's.

#![no_main]

use std::{sync::LazyLock, time::Duration};

use authy_mcp::testing::{
    names::ScopeName,
    token::{Class, LEEWAY, Order, Revocations, TokenKeys},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use secrecy::ExposeSecret;

const SEEDS: [[u8; 32]; 2] = [[7; 32], [8; 32]];
const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "authy-mcp:test";
static KEYS: LazyLock<TokenKeys> = LazyLock::new(|| TokenKeys::new(ISSUER.into(), &SEEDS[0], &SEEDS[1]));
static REAL: LazyLock<String> = LazyLock::new(|| {
    let order = Order {
        class: Class::Session,
        sub: "agent-1".into(),
        scope: ScopeName::parse("deploy").unwrap(),
        secrets: None,
        commands: None,
        ttl: Duration::from_secs(60),
    };
    KEYS.issue(order, now()).0.expose_secret().to_owned()
});

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

// The first byte says what the rest is: a token; what is changed in a real one, two bytes a change; or a header and
// claims, by line, that are signed.
fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    match kind % 4 {
        0 => stranger(std::str::from_utf8(rest).unwrap_or_default()),
        1 => {
            let mut token = REAL.clone().into_bytes();
            for change in rest.chunks_exact(2) {
                let at = usize::from(change[0]) * 2 % token.len() + usize::from(change[1] >> 7);
                if let Some(byte) = token.get_mut(at) {
                    *byte = change[1] & 0x7f;
                }
            }
            stranger(std::str::from_utf8(&token).unwrap_or_default());
        }
        class => signed(usize::from(class - 2), rest),
    }
});

/// A text that no key signed.
fn stranger(token: &str) {
    let accepted = KEYS.verify(token, &Revocations::default(), now()).is_ok();
    assert_eq!(accepted, token == REAL.as_str(), "{token}");
}

fn signed(class: usize, text: &[u8]) {
    let Some(end) = text.iter().position(|byte| *byte == b'\n') else { return };
    let (header, claims) = (URL_SAFE_NO_PAD.encode(&text[..end]), URL_SAFE_NO_PAD.encode(&text[end + 1..]));
    let message = format!("{header}.{claims}");
    let signature = SigningKey::from_bytes(&SEEDS[class]).sign(message.as_bytes());
    let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()));
    let Ok((found, claims)) = KEYS.verify(&token, &Revocations::default(), now()) else { return };
    assert_eq!(found, [Class::Session, Class::Delegated][class]);
    assert!(claims.iss == ISSUER && claims.aud == "authy-mcp");
    assert!(
        claims.exp.saturating_add(LEEWAY) > NOW && claims.nbf <= NOW + LEEWAY && claims.iat <= NOW + LEEWAY
    );
    let header: serde_json::Value = serde_json::from_slice(&text[..end]).expect("a header is JSON");
    assert_eq!(header["alg"], "EdDSA");
    let mut revoked = Revocations::default();
    revoked.tokens.insert(claims.jti.clone(), now());
    assert!(KEYS.verify(&token, &revoked, now()).is_err());
}
