//! What a name says of its value.

/// Words in a name that make a secret of its value, whatever it looks like.
const SECRET_WORDS: &[&str] = &[
    "KEY",
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASS",
    "PWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "CREDENTIALS",
    "AUTH",
    "DSN",
    "PRIVATE",
    "SIGNATURE",
    "SALT",
    "COOKIE",
    "WEBHOOK",
    "PAT",
    "BEARER",
    "APIKEY",
    "CERT",
    "JWT",
];

/// Whether a name has one of these words, in whatever case, between others or alone: `STRIPE_KEY`, `gh-pat`.
pub(crate) fn names_a_secret(name: &str) -> bool {
    let is_one = |word: &str| SECRET_WORDS.iter().any(|secret| word.eq_ignore_ascii_case(secret));
    name.split(|c: char| !c.is_ascii_alphanumeric()).any(is_one)
}
