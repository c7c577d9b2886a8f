//! Which system calls a program is refused, and with which arguments (seccomp(2)).

use std::{collections::BTreeMap, io};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use super::{
    super::{Containment, SandboxBackend},
    filters::{SCOPED, landlock_abi},
};
use crate::policy::Network;

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
    OPEN_TREE_ATTR,
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

/// Younger than the library's list; their numbers are the same everywhere (scripts/syscall.tbl of Linux).
const OPEN_TREE_ATTR: i64 = 467;
const SETXATTRAT: i64 = 463;
const REMOVEXATTRAT: i64 = 466;
const FILE_SETATTR: i64 = 469;

/// Without namespaces, objects of other processes are reached by a number: what System V and POSIX queues name.
const NAMED_BY_NUMBER: &[i64] = &[
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
];

/// Without read-only mounts, what a file is changes although nobody may write it: Landlock does not see these.
/// A value could leave by a mode, an attribute or a time.
const CHANGES_OF_FILES: &[i64] = &[
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    SETXATTRAT,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    REMOVEXATTRAT,
    FILE_SETATTR,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utimes,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_futimesat,
];
/// Requests that change a file's flags by a descriptor that reads (`FS_IOC_SETFLAGS`, `FS_IOC_FSSETXATTR`).
const CHANGES_OF_FLAGS: [u64; 3] = [0x4008_6602, 0x4004_6602, 0x401c_5820];

/// Without a pid namespace, what is done to a process of the same user that is named by its number, and the
/// argument that has it. Zero means oneself.
const BY_PROCESS: &[(i64, u8)] = &[
    (libc::SYS_prlimit64, 0),
    (libc::SYS_sched_setaffinity, 0),
    (libc::SYS_sched_setparam, 0),
    (libc::SYS_sched_setscheduler, 0),
    (libc::SYS_sched_setattr, 0),
    (libc::SYS_setpriority, 1),
    (libc::SYS_ioprio_set, 1),
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

/// The x32 ABI has the same system calls under other numbers (`__X32_SYSCALL_BIT`), and some of its own, `ptrace` and
/// `ioctl` among them, which old kernels took without the bit, too (arch/x86/entry/syscalls/syscall_64.tbl).
#[cfg(target_arch = "x86_64")]
mod x32 {
    pub(crate) const BIT: u32 = 0x4000_0000;
    pub(crate) const OWN: std::ops::Range<u32> = 512..548;
}

/// What is refused: system calls, or of one those with certain arguments.
#[derive(Default)]
struct Refused(BTreeMap<i64, Vec<SeccompRule>>);

impl Refused {
    fn always(&mut self, calls: &[i64]) {
        for call in calls {
            self.insert(*call, Vec::new());
        }
    }

    /// Where any of these holds.
    fn where_any(&mut self, call: i64, conditions: Vec<Vec<SeccompCondition>>) -> io::Result<()> {
        let rules = conditions.into_iter().map(SeccompRule::new).collect::<Result<_, _>>();
        self.insert(call, rules.map_err(io::Error::other)?);
        Ok(())
    }

    fn insert(&mut self, call: i64, rules: Vec<SeccompRule>) {
        self.0.insert(call, rules);
    }
}

fn when(argument: u8, operator: SeccompCmpOp, value: u64) -> io::Result<SeccompCondition> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value).map_err(io::Error::other)
}

/// Filters: one that refuses, one that refuses other ABIs' numbers, and one by which `clone3`, whose arguments no filter can read, isn't there:
/// the C library then goes back to `clone`.
pub(super) fn system_calls(contained: &Containment) -> io::Result<Vec<BpfProgram>> {
    let mut refused = Refused::default();
    refused.always(REFUSED);
    // A kernel takes the lower half of clone's flags, whatever is in the upper.
    let bits = (0..32).map(|bit| 1_u64 << bit).filter(|bit| NEW_NAMESPACES & bit != 0);
    let clone = bits.map(|bit| Ok(vec![when(0, SeccompCmpOp::MaskedEq(bit), bit)?]));
    refused.where_any(libc::SYS_clone, clone.collect::<io::Result<_>>()?)?;
    let alone = contained.shape != SandboxBackend::Namespaces;
    let requests = INTO_A_TERMINAL.iter().chain(CHANGES_OF_FLAGS.iter().filter(|_| alone));
    let requests = requests.map(|request| Ok(vec![when(1, SeccompCmpOp::Eq, *request)?]));
    refused.where_any(libc::SYS_ioctl, requests.collect::<io::Result<_>>()?)?;
    refuse_sockets(&mut refused, contained)?;
    if alone {
        refused.always(NAMED_BY_NUMBER);
        refused.always(CHANGES_OF_FILES);
        for (call, argument) in BY_PROCESS {
            refused.where_any(*call, vec![vec![when(*argument, SeccompCmpOp::Ne, 0)?]])?;
        }
    }
    let none = [(libc::SYS_clone3, Vec::new())].into_iter().collect();
    let mut programs = [(refused.0, libc::EPERM), (none, libc::ENOSYS)]
        .into_iter()
        .map(|(rules, errno)| program(rules, errno.unsigned_abs()))
        .collect::<io::Result<Vec<_>>>()?;
    #[cfg(target_arch = "x86_64")]
    programs.push(no_x32());
    Ok(programs)
}

/// Ranges of numbers are written out, as one jump is quicker to load and to pass than a rule a number (seccomp(2)).
#[cfg(target_arch = "x86_64")]
fn no_x32() -> BpfProgram {
    use seccompiler::sock_filter;
    const LOAD_NUMBER: u16 = 0x20;
    const IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        step(LOAD_NUMBER, 0, 0, 0),
        step(IF_AT_LEAST, 2, 0, x32::BIT),
        step(IF_AT_LEAST, 0, 2, x32::OWN.start),
        step(IF_AT_LEAST, 1, 0, x32::OWN.end),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs()),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

fn program(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: u32) -> io::Result<BpfProgram> {
    let arch = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno), arch)
        .and_then(TryInto::try_into)
        .map_err(io::Error::other)
}

/// Which families of sockets are refused: all but those that the network of the run needs. A path in a place that
/// is shown, or an abstract name in an open network, may be a socket of somebody else's, a container engine's or a
/// key agent's: Landlock sees paths not before ABI 9, and abstract names from ABI 6 on. So Unix sockets are there
/// where the run is given one, and with namespaces where the network is open and abstract names are closed.
/// A pair of datagram sockets is as good as one (it may send to any path); pairs of streams are connected for good.
fn refuse_sockets(refused: &mut Refused, contained: &Containment) -> io::Result<()> {
    let open = contained.network == Network::Open;
    let namespaces = contained.shape == SandboxBackend::Namespaces;
    let local = contained.given || (namespaces && open && landlock_abi() >= SCOPED);
    let mut kept = Vec::new();
    if namespaces || open {
        kept.extend([libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK]);
    }
    if local {
        kept.push(libc::AF_UNIX);
    }
    let number = |number: i32| u64::from(number.unsigned_abs());
    if kept.is_empty() {
        refused.always(&[libc::SYS_socket]);
    } else {
        // Raw ones need a capability, and none is left (raw(7)).
        let other = kept.into_iter().map(|family| when(0, SeccompCmpOp::Ne, number(family)));
        refused.where_any(libc::SYS_socket, vec![other.collect::<io::Result<_>>()?])?;
    }
    let mut pairs = vec![vec![when(0, SeccompCmpOp::Ne, number(libc::AF_UNIX))?]];
    if !local {
        // The type is in the low four bits, flags above; a raw Unix socket is one of datagrams (unix(7)).
        for kind in [libc::SOCK_DGRAM, libc::SOCK_RAW] {
            pairs.push(vec![when(1, SeccompCmpOp::MaskedEq(0xf), number(kind))?]);
        }
    }
    refused.where_any(libc::SYS_socketpair, pairs)
}
