//! Containment on macOS: a Seatbelt profile that denies what it does not name. It has not been run by us.

use std::{fmt::Write as _, path::Path, process::Command};

use super::{Containment, Seen};
use crate::policy::Network;

/// The program that takes a profile on and becomes another (sandbox-exec(1)).
const SANDBOX_EXEC: &str = "/usr/bin/sandbox-exec";
/// What of the system may be read.
const SYSTEM: [&str; 10] = [
    "/usr",
    "/bin",
    "/sbin",
    "/opt",
    "/System",
    "/Library/Apple",
    "/Library/Frameworks",
    "/private/etc",
    "/private/var/db/dyld",
    "/dev",
];

/// Makes a command one that is started under a profile.
pub(crate) fn wrap(command: &mut Command, contained: &Containment) {
    #[expect(clippy::disallowed_methods, reason = "the decided program is started by what contains it")]
    let mut wrapped = Command::new(SANDBOX_EXEC);
    wrapped.arg("-p").arg(profile(contained)).arg(command.get_program()).args(command.get_args());
    wrapped.env_clear();
    wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(dir) = command.get_current_dir() {
        wrapped.current_dir(dir);
    }
    *command = wrapped;
}

fn profile(contained: &Containment) -> String {
    let mut profile = String::from(
        "(version 1)\n(deny default)\n(allow process-fork)\n(allow process-exec)\n(allow sysctl-read)\n\
         (allow signal (target same-sandbox))\n(allow file-read-metadata)\n\
         (allow file-write-data (literal \"/dev/null\"))\n",
    );
    let scratch = contained.root.parent().unwrap_or(Path::new("/nowhere"));
    let mut rule = |verb: &str, what: &str, path: &Path| {
        writeln!(profile, "({verb} {what} (subpath {:?}))", path.display().to_string())
            .expect("a string takes all");
    };
    for dir in SYSTEM {
        rule("allow", "file-read*", Path::new(dir));
    }
    rule("allow", "file-read* file-write*", scratch);
    for place in &contained.places {
        match place.seen {
            Seen::Read | Seen::Copy(_) => rule("allow", "file-read*", &place.path),
            Seen::Write => rule("allow", "file-read* file-write*", &place.path),
            Seen::Hidden => rule("deny", "file-read* file-write*", &place.path),
        }
    }
    if contained.network == Network::Open {
        profile.push_str("(allow network*)\n(allow mach-lookup (global-name \"com.apple.dnssd.service\"))\n");
    }
    profile
}
