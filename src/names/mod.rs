//! Names, parsed once at the edge.
//!
//! Whatever crosses into the broker as one of these types is well formed: no control characters,
//! no path tricks, nothing that a shell or a terminal would read. Nobody is known here.

mod env;
mod globs;
mod host;
mod ids;
mod scope;
mod secret;
mod text;
mod words;

pub use env::EnvName;
pub(crate) use globs::{glob_matches, segments_match};
pub use host::HostPattern;
pub use ids::RunId;
pub(crate) use ids::{GrantId, TokenId};
pub use scope::ScopeName;
pub use secret::{SecretName, SecretPattern};
pub(crate) use text::NameError;
pub(crate) use words::names_a_secret;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_names() {
        for good in ["a", "db/readonly-password", "A/b/C.d_e-f", "..a", "a..b/c"] {
            assert!(SecretName::parse(good).is_ok(), "{good}");
        }
        let long = "a".repeat(256);
        for bad in ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a b", "a\n", "ä", "a*", &long] {
            assert!(SecretName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn default_variables() {
        for (name, env) in
            [("openai/api-key", "OPENAI_API_KEY"), ("PGPASSWORD", "PGPASSWORD"), ("1p/x", "_1P_X")]
        {
            assert_eq!(SecretName::parse(name).unwrap().default_env().as_str(), env);
        }
    }

    #[test]
    fn patterns_cover_names() {
        for (pattern, name, covers) in [
            ("a/b", "a/b", true),
            ("a/*", "a/b", true),
            ("a/*", "a/b/c", false),
            ("a/*", "a", false),
            ("*", "a", true),
            ("*", "a/b", false),
            ("**", "a", true),
            ("**", "a/b/c", true),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("**/root-*", "root-x", true),
            ("**/root-*", "a/b/root-x", true),
            ("**/root-*", "a/root", false),
            ("a/**/z", "a/z", true),
            ("a/**/z", "a/b/c/z", true),
            ("a-*-c", "a-b-c", true),
            ("a-*-c", "a-c", false),
            ("a/B", "a/b", false),
            ("**/a/**/b", "x/a/a/y/b/b", true),
            ("**/a/**/b", "x/b/a/a", false),
            ("**/**", "a", true),
        ] {
            let pattern = SecretPattern::parse(pattern).unwrap();
            assert_eq!(pattern.matches(&SecretName::parse(name).unwrap()), covers, "{pattern} {name}");
        }
        for bad in ["a/**b", "***", "a//b", "a/../b", "a b", ""] {
            assert!(SecretPattern::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_pattern_costs_no_more_than_its_length_times_the_name_s() {
        let pattern = SecretPattern::parse(&format!("{}z", "**/a/".repeat(40))).unwrap();
        let name = SecretName::parse(&format!("{}y", "a/".repeat(127))).unwrap();
        let begun = std::time::Instant::now();
        assert!(!pattern.matches(&name));
        assert!(begun.elapsed().as_secs() < 5);
    }

    #[test]
    fn globs_cover_texts() {
        for (glob, text, covers) in [
            ("*", "", true),
            ("a*", "a", true),
            ("*a", "ba", true),
            ("a*a", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("ab", "abc", false),
            ("**", "anything", true),
        ] {
            assert_eq!(glob_matches(glob, text), covers, "{glob} {text}");
        }
    }

    #[test]
    fn hosts_ids_and_variables() {
        for good in ["api.example.com", "localhost:8080", "*.example.com", "127.0.0.1:1"] {
            assert!(HostPattern::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "http://a", "a:0", "a:b", "a..b", "*", "a:+443", "a:000443"] {
            assert!(HostPattern::parse(bad).is_err(), "{bad}");
        }
        for (pattern, host, port, covers) in [
            ("api.example.com", "api.example.com", 443, true),
            ("API.example.com", "api.example.com", 443, true),
            ("api.example.com", "api.example.com", 8443, false),
            ("api.example.com:8443", "api.example.com", 8443, true),
            ("api.example.com:8443", "api.example.com", 443, false),
            ("*.example.com", "a.b.example.com", 443, true),
            ("*.example.com", "example.com", 443, false),
            ("*.example.com", "evilexample.com", 443, false),
            ("*.example.com", ".example.com", 443, false),
            ("*.0.0.1", "127.0.0.1", 443, false),
        ] {
            assert_eq!(
                HostPattern::parse(pattern).unwrap().covers(host, port),
                covers,
                "{pattern} {host}:{port}"
            );
        }
        for (one, other, overlap) in [
            ("a.example.com", "a.example.com", true),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "*.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("a.example.com", "a.example.com:1", false),
        ] {
            let [one, other] = [one, other].map(|text| HostPattern::parse(text).unwrap());
            assert_eq!(one.overlaps(&other), overlap, "{one} {other}");
            assert_eq!(other.overlaps(&one), overlap, "{other} {one}");
        }
        assert!(RunId::parse(RunId::random().as_str()).is_ok());
        assert!(RunId::parse("r_").is_err() && TokenId::parse("r_abc").is_err());
        assert!(
            EnvName::parse("A_1").is_ok() && EnvName::parse("1A").is_err() && EnvName::parse("A=B").is_err()
        );
        assert!(
            ScopeName::parse("deploy").is_ok()
                && ScopeName::parse("-x").is_err()
                && ScopeName::parse("a/b").is_err()
        );
    }
}
