//! Which candidates are secrets, by their names and values: those that are none are left out and named.

use crate::names::{EnvName, names_a_secret};

/// Words in a name that make a setting of it, if none that makes a secret of it is there too.
const SETTING_WORDS: &[&str] = &[
    "PORT",
    "HOST",
    "HOSTNAME",
    "ENV",
    "ENVIRONMENT",
    "DEBUG",
    "LEVEL",
    "LOG",
    "TZ",
    "LANG",
    "REGION",
    "MODE",
    "TIMEOUT",
    "VERSION",
    "ENABLED",
    "DISABLED",
    "PUBLIC",
    "DOMAIN",
    "PATH",
    "DIR",
    "FILE",
    "NAME",
    "USER",
    "USERNAME",
    "ID",
    "EMAIL",
    "URL",
    "URI",
    "ENDPOINT",
    "ORIGIN",
    "BUCKET",
    "SIZE",
    "LIMIT",
    "COUNT",
    "WORKERS",
    "THREADS",
    "INTERVAL",
    "TTL",
];

/// Why a candidate is no secret; `None` where it is one, or may be.
pub(crate) fn no_secret(name: &EnvName, value: &str) -> Option<&'static str> {
    if value.is_empty() {
        return Some("it is empty");
    }
    if has_userinfo(value) {
        return None;
    }
    let public = name.as_str().starts_with("NEXT_PUBLIC_") || name.as_str().starts_with("VITE_");
    if public {
        return Some("its name says that it is public");
    }
    if names_a_secret(name.as_str()) {
        return None;
    }
    let plain = ["true", "false", "yes", "no", "on", "off"].contains(&value.to_ascii_lowercase().as_str());
    if plain || value.parse::<f64>().is_ok() {
        return Some("its value is a switch or a number");
    }
    let setting = |word: &str| SETTING_WORDS.contains(&word.to_ascii_uppercase().as_str());
    name.as_str().split('_').any(setting).then_some("its name is that of a setting")
}

/// A URL with a password in it.
fn has_userinfo(value: &str) -> bool {
    let authority =
        value.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    authority.and_then(|authority| authority.rsplit_once('@')).is_some_and(|(user, _)| user.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_secret() {
        for (name, value, secret) in [
            ("PORT", "3000", false),
            ("NODE_ENV", "production", false),
            ("DEBUG", "true", false),
            ("DATABASE_URL", "postgres://db/app", false),
            ("DATABASE_URL", "postgres://u:p@db/app", true),
            ("DATABASE_PASSWORD", "3000", true),
            ("AWS_REGION", "eu-west-1", false),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE", true),
            ("STRIPE", "sk_live_abc", true),
            ("NEXT_PUBLIC_KEY", "x", false),
            ("MAX_RETRIES", "5", false),
            ("EMPTY_KEY", "", false),
            ("SENTRY_DSN", "https://abc@sentry.example/1", true),
        ] {
            assert_eq!(no_secret(&EnvName::parse(name).unwrap(), value).is_none(), secret, "{name}");
        }
    }
}
