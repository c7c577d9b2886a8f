//! Why a machine can't make namespaces, and what its operator would have to change.

use std::{fs, path::Path};

use super::SandboxCapabilities;

/// What has to be done for namespaces, exactly; `None` where they can be made.
pub(crate) fn remedy(machine: &SandboxCapabilities) -> Option<&'static str> {
    machine.namespaces.as_ref().err()?;
    let holds = |file: &str, text: &str| fs::read_to_string(file).is_ok_and(|found| found.trim() == text);
    let there = |file: &str| Path::new(file).exists();
    if cfg!(not(target_os = "linux")) {
        return Some("this system has no namespaces");
    }
    Some(if there("/.dockerenv") || there("/run/.containerenv") {
        "start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
         --security-opt systempaths=unconfined"
    } else if holds("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "install the profile that ships: sudo install -m 644 docs/apparmor/authy-mcp /etc/apparmor.d/ && \
         sudo apparmor_parser -r /etc/apparmor.d/authy-mcp"
    } else if holds("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "sudo sysctl kernel.unprivileged_userns_clone=1"
    } else if holds("/proc/sys/user/max_user_namespaces", "0") {
        "sudo sysctl user.max_user_namespaces=15000"
    } else {
        "let this user make user namespaces (unshare -Ur true must work), and mount /proc in them"
    })
}
