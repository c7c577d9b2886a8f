//! Tokens and short forms: JWT and JWE, an authentication scheme with what stands behind it, word lists.

use super::leaf::{Leaf, Read, Sense};

/// JWS and JWE in their compact form (RFC 7515, 7516). The header is the same for all of its kind.
pub(super) fn jwt(text: &str, _sense: Sense) -> Option<Read> {
    let in_token = |c: char| c.is_ascii_alphanumeric() || "-_.=".contains(c);
    if !text.starts_with("eyJ") || !text.chars().all(in_token) {
        return None;
    }
    let names: &[&str] = match text.split('.').count() {
        3 => &["payload", "signature"],
        5 => &["encrypted key", "initialization vector", "ciphertext", "tag"],
        _ => return None,
    };
    let parts = text.split('.').skip(1).zip(names);
    Some(Read::Leaves(parts.map(|(part, name)| Leaf::new(*name, Sense::Secret, part)).collect()))
}

/// What stands before a credential in a header (RFC 9110, section 11, and what services made of it).
const SCHEMES: [&str; 10] =
    ["apikey", "api-key", "basic", "bearer", "bot", "genie-key", "negotiate", "sso-key", "token", "key"];

/// `Bearer …`, `Basic …`, `Token token="…"`.
pub(super) fn scheme(text: &str, _sense: Sense) -> Option<Read> {
    let (scheme, credential) = text.split_once(' ')?;
    let lower = scheme.to_ascii_lowercase();
    let credential = credential.trim();
    if !SCHEMES.contains(&lower.as_str()) || credential.contains(char::is_whitespace) {
        return None;
    }
    Some(Read::Leaves(vec![Leaf::new(format!("behind {scheme}"), Sense::Secret, credential)]))
}

/// A list that seeds a wallet has 12 words at least (BIP 39), and no word that is longer.
const FEWEST_WORDS: usize = 12;
const MOST_WORDS: usize = 64;
const LONGEST_WORD: usize = 12;

/// Words with anything between them, also numbered: one part, however they are set.
pub(super) fn words(text: &str, sense: Sense) -> Option<Read> {
    if sense < Sense::Likely {
        return None;
    }
    let tokens =
        text.split(|c: char| c.is_whitespace() || ",;.:)".contains(c)).filter(|token| !token.is_empty());
    let numbered = |token: &&str| !token.chars().all(|c| c.is_ascii_digit());
    let words: Vec<&str> = tokens.filter(numbered).take(MOST_WORDS + 1).collect();
    let word =
        |word: &&str| (2..=LONGEST_WORD).contains(&word.len()) && word.chars().all(char::is_alphabetic);
    if !(FEWEST_WORDS..=MOST_WORDS).contains(&words.len()) || !words.iter().all(word) {
        return None;
    }
    let numbered = |from: usize| {
        let each = words.iter().enumerate().map(|(at, word)| format!("{} {word}", at + from));
        each.collect::<Vec<_>>().join(" ")
    };
    Some(Read::Leaves(vec![
        Leaf::new("its words", Sense::Secret, &words.join(" ")),
        Leaf::new("its words, numbered", Sense::Secret, &numbered(1)),
        Leaf::new("its words, numbered from 0", Sense::Secret, &numbered(0)),
    ]))
}
