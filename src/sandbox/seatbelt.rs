//! Containment on macOS: a Seatbelt profile that denies what it does not name. The text is made, and tested, on every
//! platform; no program has been run under it by us.

use std::{fmt::Write as _, io, path::Path};

use super::{
    place::{PathRule, Seen},
    plan::Containment,
};
use crate::{policy::Network, system};

/// The program that takes a profile on and becomes another (sandbox-exec(1)).
#[cfg(target_os = "macos")]
const SANDBOX_EXEC: &str = "/usr/bin/sandbox-exec";

/// Makes a command one that is started under a profile.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for a path that a profile can't name.
#[cfg(target_os = "macos")]
pub(crate) fn wrap(command: &mut std::process::Command, contained: &Containment) -> io::Result<()> {
    let profile = profile(contained)?;
    #[expect(clippy::disallowed_methods, reason = "the decided program is started by what contains it")]
    let mut wrapped = std::process::Command::new(SANDBOX_EXEC);
    wrapped.arg("-p").arg(profile).arg(command.get_program()).args(command.get_args());
    wrapped.env_clear();
    wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(dir) = command.get_current_dir() {
        wrapped.current_dir(dir);
    }
    *command = wrapped;
    Ok(())
}

/// The profile's text. Of several rules for a path the last one holds, and places come shallow ones first: what is
/// hidden in a directory stays so.
fn profile(contained: &Containment) -> io::Result<String> {
    let mut profile = String::from(
        "(version 1)\n(deny default)\n(allow process-fork)\n(allow process-exec)\n(allow sysctl-read)\n\
         (allow signal (target same-sandbox))\n(allow file-read-metadata)\n\
         (allow file-write-data (literal \"/dev/null\"))\n",
    );
    for dir in system::READ_ON_MACOS {
        rule(&mut profile, "allow file-read* (subpath", Path::new(dir))?;
    }
    rule(&mut profile, "allow file-read* file-write* (subpath", &contained.scratch)?;
    for place in &contained.places {
        rule_of(&mut profile, place)?;
    }
    if contained.network == Network::Open {
        profile.push_str("(allow network*)\n(allow mach-lookup (global-name \"com.apple.dnssd.service\"))\n");
    }
    Ok(profile)
}

fn rule_of(profile: &mut String, place: &PathRule) -> io::Result<()> {
    let rights = match place.seen {
        Seen::Read | Seen::Copy(_) | Seen::Part => "allow file-read* (subpath",
        Seen::Write | Seen::Held => "allow file-read* file-write* (subpath",
        Seen::Closed => "deny file-write* (subpath",
        Seen::Hidden => "deny file-read* file-write* (subpath",
        // The link alone: where it leads is a place of its own, or not seen.
        Seen::Link(_) => "allow file-read* (literal",
        // Its parts have rules of their own, and what is put there later has none.
        Seen::Parts => return Ok(()),
    };
    rule(profile, rights, &place.path)
}

/// A rule for a path, which stands between quotes: a backslash stands before a quote and a backslash, and nothing else
/// is written another way. A path that is no UTF-8 can't be written, so that what should be hidden would not be.
fn rule(profile: &mut String, rights: &str, path: &Path) -> io::Result<()> {
    let path = path.to_str().ok_or(io::ErrorKind::InvalidInput)?;
    let path = path.replace('\\', "\\\\").replace('"', "\\\"");
    writeln!(profile, "({rights} \"{path}\"))").map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    use super::*;
    use crate::sandbox::SandboxBackend;

    fn contained(network: Network, places: Vec<(&Path, Seen)>) -> Containment {
        let place = |(path, seen): (&Path, Seen)| PathRule { path: path.to_owned(), seen, inode: None };
        Containment {
            shape: SandboxBackend::Seatbelt,
            network,
            places: places.into_iter().map(place).collect(),
            scratch: "/private/tmp/run".into(),
            listen: Vec::new(),
            covers: Vec::new(),
            landlock: false,
            locks: crate::sandbox::Locks::Shared,
            given: false,
            terminal: false,
            memory: None,
        }
    }

    #[test]
    fn each_place_has_the_rule_of_how_it_is_seen() {
        let table = [
            (Seen::Read, "(allow file-read* (subpath \"/p\"))"),
            (Seen::Copy([0; 32]), "(allow file-read* (subpath \"/p\"))"),
            (Seen::Part, "(allow file-read* (subpath \"/p\"))"),
            (Seen::Write, "(allow file-read* file-write* (subpath \"/p\"))"),
            (Seen::Held, "(allow file-read* file-write* (subpath \"/p\"))"),
            (Seen::Closed, "(deny file-write* (subpath \"/p\"))"),
            (Seen::Hidden, "(deny file-read* file-write* (subpath \"/p\"))"),
            (Seen::Link("/elsewhere".into()), "(allow file-read* (literal \"/p\"))"),
            (Seen::Parts, ""),
        ];
        for (seen, expected) in table {
            let text = profile(&contained(Network::None, vec![(Path::new("/p"), seen.clone())])).unwrap();
            let rules: Vec<&str> = text.lines().filter(|line| line.contains("\"/p\"")).collect();
            assert_eq!(rules.join("\n"), expected, "{seen:?}");
            assert!(!text.contains("/elsewhere") && !text.contains("network"), "{text}");
        }
    }

    #[test]
    fn all_is_denied_that_is_not_named_and_the_deeper_rule_is_the_last() {
        let (home, hidden) = (Path::new("/Users/u"), Path::new("/Users/u/.ssh"));
        let text =
            profile(&contained(Network::Open, vec![(home, Seen::Read), (hidden, Seen::Hidden)])).unwrap();
        assert!(text.starts_with("(version 1)\n(deny default)\n"), "{text}");
        assert!(
            text.find("(allow file-read* (subpath \"/Users/u\"))") < text.find("(deny file-read*"),
            "{text}"
        );
        assert!(text.contains("(allow file-read* file-write* (subpath \"/private/tmp/run\"))"), "{text}");
        assert!(text.contains("(allow network*)"), "{text}");
        assert_eq!(text.matches('(').count(), text.matches(')').count(), "{text}");
    }

    #[test]
    fn a_path_ends_no_rule_and_what_cannot_be_written_starts_nothing() {
        let odd = Path::new("/a\"))(allow default)\\");
        let text = profile(&contained(Network::None, vec![(odd, Seen::Hidden)])).unwrap();
        assert!(
            text.contains(r#"(deny file-read* file-write* (subpath "/a\"))(allow default)\\"))"#),
            "{text}"
        );
        let no_text = Path::new(OsStr::from_bytes(b"/\xff"));
        assert!(profile(&contained(Network::None, vec![(no_text, Seen::Hidden)])).is_err());
    }
}
