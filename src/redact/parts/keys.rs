//! What a key says of its value, by its words: the last decides, for `password_hint` is a hint and `hint_password` a
//! password. And how a key is shown.

use super::{leaf::Sense, look};

/// A key is judged by so many of its last words.
const WORDS: usize = 6;

/// What of several words at the end of a key says something else than the last alone.
const ENDINGS: &[(&[&str], Sense)] = &[
    (&["access", "key"], Sense::Secret),
    (&["account", "key"], Sense::Secret),
    (&["api", "key"], Sense::Secret),
    (&["encryption", "key"], Sense::Secret),
    (&["instrumentation", "key"], Sense::Secret),
    (&["license", "key"], Sense::Secret),
    (&["master", "key"], Sense::Secret),
    (&["preshared", "key"], Sense::Secret),
    (&["private", "key"], Sense::Secret),
    (&["secret", "key"], Sense::Secret),
    (&["session", "key"], Sense::Secret),
    (&["shared", "key"], Sense::Secret),
    (&["signing", "key"], Sense::Secret),
    (&["storage", "key"], Sense::Secret),
    (&["cache", "key"], Sense::Open),
    (&["foreign", "key"], Sense::Plain),
    (&["hash", "key"], Sense::Open),
    (&["host", "key"], Sense::Open),
    (&["object", "key"], Sense::Open),
    (&["partition", "key"], Sense::Open),
    (&["primary", "key"], Sense::Open),
    (&["public", "key"], Sense::Plain),
    (&["publishable", "key"], Sense::Plain),
    (&["authorized", "keys"], Sense::Plain),
    (&["public", "keys"], Sense::Plain),
    (&["routing", "key"], Sense::Open),
    (&["site", "key"], Sense::Plain),
    (&["sort", "key"], Sense::Open),
    (&["backup", "codes"], Sense::Secret),
    (&["recovery", "codes"], Sense::Secret),
    (&["scratch", "codes"], Sense::Secret),
    // AppRole's second half, and what AWS calls the name of a secret.
    (&["secret", "id"], Sense::Open),
    (&["session", "id"], Sense::Secret),
    (&["sess", "id"], Sense::Secret),
    (&["connect", "sid"], Sense::Secret),
    (&["max", "tokens"], Sense::Plain),
    (&["min", "tokens"], Sense::Plain),
    (&["total", "tokens"], Sense::Plain),
];

const SECRET: &[&str] = &[
    "apikey",
    "bearer",
    "cred",
    "credential",
    "credentials",
    "creds",
    "jwt",
    "mnemonic",
    "otp",
    "pass",
    "passcode",
    "passphrase",
    "passwd",
    "passwort",
    "password",
    "passwords",
    "pin",
    "psk",
    "pswd",
    "pw",
    "pwd",
    "secret",
    "secrets",
    "token",
    "tokens",
    "totp",
];

const LIKELY: &[&str] = &[
    "auth",
    "authentication",
    "authorization",
    "code",
    "codes",
    "cookie",
    "cookies",
    "csrf",
    "hmac",
    "kek",
    "key",
    "keys",
    "pepper",
    "phrase",
    "private",
    "salt",
    "seed",
    "session",
    "sig",
    "signature",
    "webhook",
    "xsrf",
];

/// Words without a mark between them: what a key of one word ends with.
const ENDS_IN: &[&str] = &[
    "accesskey",
    "accountkey",
    "apikey",
    "authkey",
    "credential",
    "credentials",
    "encryptionkey",
    "keypass",
    "masterauth",
    "masterkey",
    "passphrase",
    "passwd",
    "password",
    "presharedkey",
    "privatekey",
    "pwd",
    "requirepass",
    "secret",
    "secretkey",
    "sessid",
    "sessionid",
    "sessionkey",
    "sharedkey",
    "signingkey",
    "storepass",
    "token",
    "userpass",
    "dbpass",
];

const PLAIN: &[&str] = &[
    "account",
    "address",
    "age",
    "alg",
    "algorithm",
    "at",
    "audience",
    "bits",
    "ca",
    "cert",
    "certificate",
    "certificates",
    "certs",
    "cipher",
    "class",
    "comment",
    "count",
    "created",
    "crt",
    "curve",
    "date",
    "db",
    "dbname",
    "days",
    "description",
    "dir",
    "directory",
    "domain",
    "email",
    "enabled",
    "endpoint",
    "env",
    "expires",
    "expiry",
    "file",
    "fingerprint",
    "format",
    "header",
    "hint",
    "host",
    "id",
    "ids",
    "image",
    "issuer",
    "kind",
    "label",
    "length",
    "level",
    "limit",
    "location",
    "login",
    "machine",
    "max",
    "method",
    "min",
    "mode",
    "modulus",
    "name",
    "names",
    "namespace",
    "path",
    "policy",
    "port",
    "prefix",
    "project",
    "protocol",
    "provider",
    "pub",
    "pubkey",
    "public",
    "realm",
    "ref",
    "region",
    "required",
    "role",
    "rotation",
    "scheme",
    "scope",
    "scopes",
    "server",
    "service",
    "size",
    "space",
    "status",
    "store",
    "suffix",
    "tenant",
    "thumbprint",
    "timeout",
    "title",
    "ttl",
    "type",
    "updated",
    "uri",
    "url",
    "urls",
    "user",
    "username",
    "usr",
    "version",
    "zone",
];

/// Judges a value by its key.
pub(super) fn says(key: &str) -> Sense {
    let words = words(key);
    let Some(last) = words.last() else { return Sense::Open };
    let ends = |ending: &[&str]| {
        words.len() >= ending.len() && words[words.len() - ending.len()..].iter().eq(ending.iter())
    };
    if let Some((_, sense)) = ENDINGS.iter().find(|(ending, _)| ends(ending)) {
        return *sense;
    }
    if let Some(sense) = of_word(last) {
        return sense;
    }
    // A last word that says nothing, as in `SECRET_KEY_BASE`; what is public stays so, as in `certificate-authority-data`.
    let all = || words.iter().filter_map(|word| of_word(word));
    let public = |word: &String| matches!(word.as_str(), "certificate" | "public" | "cert");
    if words.iter().any(public) {
        return Sense::Plain;
    }
    all().filter(|sense| *sense > Sense::Open).max().unwrap_or(Sense::Open)
}

fn of_word(word: &str) -> Option<Sense> {
    let among = |list: &[&str]| list.contains(&word);
    match () {
        () if among(SECRET) || ENDS_IN.iter().any(|end| word.ends_with(end)) => Some(Sense::Secret),
        () if among(LIKELY) => Some(Sense::Likely),
        () if among(PLAIN) || (word.len() > 4 && word.ends_with("name")) || word == "keyid" => {
            Some(Sense::Plain)
        }
        () => None,
    }
}

/// The words of a key, lower case: `apiKey`, `API_KEY`, `api-key` and `spring.api.key2` end in the same.
fn words(key: &str) -> Vec<String> {
    let chars: Vec<char> = key.chars().collect();
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| chars[at]);
        let behind = chars.get(at + 1);
        let camel = c.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase() || (before.is_uppercase() && behind.is_some_and(|b| b.is_lowercase()))
            });
        if (camel || !c.is_alphabetic()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphabetic() {
            word.extend(c.to_lowercase());
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words.split_off(words.len().saturating_sub(WORDS))
}

/// The longest key that is shown, in characters: a name that people choose is shorter, and what is longer may be a value.
const LONGEST_KEY: usize = 64;

/// A key as it is shown in a place: no more of it than a name has.
pub(super) fn shown_key(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if key.chars().count() > LONGEST_KEY || look::is_random(key) {
        "[…]".to_owned()
    } else if !key.is_empty() && key.chars().all(plain) {
        key.to_owned()
    } else {
        let kept: String = key.chars().map(|c| if c.is_control() || c == '"' { '?' } else { c }).collect();
        format!("[\"{kept}\"]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_judged_by_their_last_word() {
        for (expected, keys) in [
            (
                Sense::Secret,
                "password PASSWORD db_password dbPassword DB-PASS PGPASSWORD client_secret clientSecret api_key apiKey \
                 APIKey X-API-Key aws_secret_access_key secretAccessKey AccountKey SharedAccessKey access_token authToken \
                 //registry.npmjs.org/:_authToken spring.datasource.password PrivateKey PresharedKey private_key \
                 signingKey sessionid PHPSESSID session_id connect.sid token2 github_token_v2 requirepass \
                 SECRET_KEY_BASE DB_PASSWORD_PROD recovery_codes pwd user_pwd passphrase pin totp storepass",
            ),
            (
                Sense::Likely,
                "key auth _auth Authorization Proxy-Authorization cookie Set-Cookie sig signature session seed salt \
                 hmac client-key-data tls.key private",
            ),
            (
                Sense::Plain,
                "key_id aws_access_key_id private_key_id public_key PublicKey publicKey token_type tokenType auth_url \
                 token_uri username user userName client_id tenant_id password_hint secretName password_file key_length \
                 certificate-authority-data client-certificate-data ca.crt secret_version region host port email \
                 authorized_keys max_tokens token_ttl auth_mode session_timeout cookie_name api_key_header pass_count \
                 client_x509_cert_url key_type keyid Modulus",
            ),
            (
                Sense::Open,
                "keyspace tokenizer compass data value partition_key object-key secret_id monkey foo",
            ),
        ] {
            for key in keys.split_whitespace() {
                assert_eq!(says(key), expected, "{key}");
            }
        }
        assert_eq!((says(""), says("  "), says("日本")), (Sense::Open, Sense::Open, Sense::Open));
    }
}
