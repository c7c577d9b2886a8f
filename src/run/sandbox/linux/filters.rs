//! What a program gives up before it becomes what was decided: capabilities, reach (Landlock), system calls
//! (seccomp). None of it can be taken back, and all of it holds for whatever the program starts.

use std::{collections::BTreeMap, io, sync::OnceLock};

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use super::{
    super::{Containment, INSIDE, Seen, Shape},
    At, Failed, Step,
};
use crate::policy::Network;

/// Takes every filter on, for this process and whatever it becomes; the number of the step that failed.
pub(in crate::run) fn contain_program(contained: &Containment) -> Result<(), i32> {
    take_on(contained).map_err(|Failed(number)| number)
}

fn take_on(contained: &Containment) -> Result<(), Failed> {
    drop_capabilities().at(Step::Capabilities)?;
    if contained.landlock {
        restrict_reach(contained).at(Step::Landlock)?;
    }
    rustix::thread::set_no_new_privs(true).at(Step::Seccomp)?;
    for program in system_calls(contained).at(Step::Seccomp)? {
        seccompiler::apply_filter(&program).map_err(io::Error::other).at(Step::Seccomp)?;
    }
    Ok(())
}

/// No capability is left, and none comes back: not by being root in a namespace (securebits), not by a file's.
fn drop_capabilities() -> io::Result<()> {
    let held = rustix::thread::capabilities(None)?;
    if held.permitted.is_empty() {
        return Ok(());
    }
    let bits = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED;
    if held.effective.contains(CapabilitySet::SETPCAP) {
        rustix::thread::set_capabilities_secure_bits(bits)?;
    }
    rustix::thread::clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    Ok(rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )?)
}

/// The ABI of this kernel's Landlock as far as it is known here; 0 where there is none.
pub(in crate::run) fn landlock_abi() -> u32 {
    static FOUND: OnceLock<u32> = OnceLock::new();
    const KNOWN: [(u32, ABI); 7] =
        [(7, ABI::V7), (6, ABI::V6), (5, ABI::V5), (4, ABI::V4), (3, ABI::V3), (2, ABI::V2), (1, ABI::V1)];
    let stands = |abi: ABI| {
        let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        let files = ruleset.handle_access(AccessFs::from_all(abi));
        let scoped = files.and_then(|ruleset| match Scope::from_all(abi) {
            none if none.is_empty() => Ok(ruleset),
            scope => ruleset.scope(scope),
        });
        scoped.and_then(Ruleset::create).is_ok()
    };
    *FOUND.get_or_init(|| KNOWN.into_iter().find(|(_, abi)| stands(*abi)).map_or(0, |(number, _)| number))
}

/// Landlock: what may be read, written and run, and that signals and abstract sockets stay inside. Under
/// namespaces the view holds already, and this is a second wall; without them it is the only one.
fn restrict_reach(contained: &Containment) -> io::Result<()> {
    let abi = ABI::V7;
    let all = AccessFs::from_all(abi);
    let read = AccessFs::from_read(abi);
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)
        .and_then(|ruleset| ruleset.scope(Scope::from_all(abi)))
        .and_then(Ruleset::create)
        .map_err(io::Error::other)?;
    let mut rules = Rules { ruleset: Some(ruleset) };
    match contained.shape {
        Shape::Namespaces => {
            rules.add("/", read)?;
            for dir in [INSIDE, "/tmp", "/dev"] {
                rules.add(dir, all)?;
            }
        }
        _ => {
            for dir in SYSTEM_READ {
                rules.add(dir, read)?;
            }
            for device in ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"] {
                rules.add(device, read | AccessFs::WriteFile)?;
            }
            if let Some(scratch) = contained.root.parent() {
                rules.add(&scratch.to_string_lossy(), all)?;
            }
        }
    }
    for place in &contained.places {
        let access = match place.seen {
            Seen::Write => all,
            Seen::Read | Seen::Copy(_) => read,
            Seen::Hidden => continue,
        };
        rules.add(&place.path.to_string_lossy(), access)?;
    }
    rules.enforce()
}

/// Without a view of its own, a run reads of the system no more than this.
const SYSTEM_READ: [&str; 11] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc",
    "/opt",
    "/nix/store",
    "/gnu/store",
    "/run/systemd/resolve",
];

struct Rules {
    ruleset: Option<landlock::RulesetCreated>,
}

impl Rules {
    /// What isn't there needs no rule. A rule on a file knows only of what files have.
    fn add(&mut self, path: &str, access: BitFlags<AccessFs>) -> io::Result<()> {
        let Ok(opened) = PathFd::new(path) else { return Ok(()) };
        let access =
            if std::path::Path::new(path).is_dir() { access } else { access & AccessFs::from_file(ABI::V7) };
        let ruleset = self.ruleset.take().ok_or(io::ErrorKind::InvalidInput)?;
        let ruleset = ruleset.add_rule(PathBeneath::new(opened, access)).map_err(io::Error::other)?;
        self.ruleset = Some(ruleset);
        Ok(())
    }

    fn enforce(self) -> io::Result<()> {
        let ruleset = self.ruleset.ok_or(io::ErrorKind::InvalidInput)?;
        let status = ruleset.restrict_self().map_err(io::Error::other)?;
        if status.ruleset == RulesetStatus::NotEnforced {
            Err(io::ErrorKind::Unsupported.into())
        } else {
            Ok(())
        }
    }
}

/// System calls that a run has no use for, and an attacker has: other processes' memory, the kernel's keys,
/// its own machinery (io_uring, bpf, perf, userfaultfd), namespaces and mounts, and what only root does.
const REFUSED: &[i64] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ustat,
];

/// `CLONE_NEW…`: a namespace of one's own is where a run could mount and trace again (clone(2)).
const NEW_NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u64;

/// Requests that put characters into a terminal's input (ioctl_tty(2)).
const INTO_A_TERMINAL: [u64; 2] = [0x5412, 0x541c];

/// System calls of the x32 ABI are the same ones under other numbers (`__X32_SYSCALL_BIT`).
#[cfg(target_arch = "x86_64")]
const OTHER_NUMBERS: &[i64] = &[0, 0x4000_0000];
#[cfg(not(target_arch = "x86_64"))]
const OTHER_NUMBERS: &[i64] = &[0];

/// Two filters: one that refuses, and one by which `clone3`, whose arguments no filter can read, isn't there:
/// the C library then goes back to `clone`.
fn system_calls(contained: &Containment) -> io::Result<Vec<BpfProgram>> {
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let mut add = |call: i64, rules: Vec<SeccompRule>| {
        for other in OTHER_NUMBERS {
            refused.insert(call + other, rules.clone());
        }
    };
    for call in REFUSED {
        add(*call, Vec::new());
    }
    let condition = |argument, length, operator, value| {
        SeccompCondition::new(argument, length, operator, value)
            .and_then(|condition| SeccompRule::new(vec![condition]))
            .map_err(io::Error::other)
    };
    let flags = NEW_NAMESPACES;
    let bits: Vec<u64> = (0..64).map(|bit| 1 << bit).filter(|bit| flags & bit != 0).collect();
    let clone = bits
        .iter()
        .map(|bit| condition(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(*bit), *bit))
        .collect::<io::Result<_>>()?;
    add(libc::SYS_clone, clone);
    let into = INTO_A_TERMINAL
        .iter()
        .map(|request| condition(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, *request))
        .collect::<io::Result<_>>()?;
    add(libc::SYS_ioctl, into);
    add(libc::SYS_socket, sockets(contained)?);
    let none = [(libc::SYS_clone3, Vec::new())].into_iter().collect();
    [(refused, libc::EPERM), (none, libc::ENOSYS)]
        .into_iter()
        .map(|(rules, errno)| program(rules, errno.unsigned_abs()))
        .collect()
}

fn program(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: u32) -> io::Result<BpfProgram> {
    let arch = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno), arch)
        .and_then(TryInto::try_into)
        .map_err(io::Error::other)
}

/// Which families of sockets are refused: all but those that the network of the run needs. Without
/// namespaces, a path is all that keeps a run from a Unix socket of somebody else's, and Landlock does not
/// see it before ABI 9: then there are none, and no internet ones unless the network is open.
fn sockets(contained: &Containment) -> io::Result<Vec<SeccompRule>> {
    let inet = [libc::AF_INET, libc::AF_INET6];
    let kept: Vec<i32> = match (contained.shape, contained.network) {
        (Shape::Namespaces, _) => inet.into_iter().chain([libc::AF_UNIX, libc::AF_NETLINK]).collect(),
        (_, Network::Open) => inet.into_iter().chain([libc::AF_NETLINK]).collect(),
        _ => Vec::new(),
    };
    if kept.is_empty() {
        return Ok(Vec::new());
    }
    let conditions = kept.into_iter().map(|family| {
        let family = u64::try_from(family).unwrap_or_default();
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, family).map_err(io::Error::other)
    });
    let families = conditions.collect::<io::Result<Vec<_>>>()?;
    // Raw ones need a capability, and none is left (raw(7)).
    Ok(vec![SeccompRule::new(families).map_err(io::Error::other)?])
}
