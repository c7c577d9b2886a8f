//! Which system calls a program is refused, and with which arguments (seccomp(2)).

use std::{env, io};

use seccompiler::BpfProgram;

use super::{
    super::{Containment, SandboxBackend},
    compile::{Condition, Holds, Rule, Table, compile},
};
use crate::policy::Network;

const NOT_PERMITTED: u16 = libc::EPERM as u16;
const NOT_THERE: u16 = libc::ENOSYS as u16;

/// The filter of a program that is contained like this, where the kernel has this Landlock (0 where it has none).
///
/// # Errors
/// On an architecture whose numbers are not known here.
pub(super) fn filter(contained: &Containment, landlock: u32) -> io::Result<BpfProgram> {
    compile(&table(contained, landlock), architecture()?)
}

/// `AUDIT_ARCH_…` (linux/audit.h).
fn architecture() -> io::Result<u32> {
    match env::consts::ARCH {
        "x86_64" => Ok(0xc000_003e),
        "aarch64" => Ok(0xc000_00b7),
        "riscv64" => Ok(0xc000_00f3),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// What is refused of a program that is contained like this.
fn table(contained: &Containment, landlock: u32) -> Table {
    let alone = contained.shape != SandboxBackend::Namespaces;
    let mut table = Table::default();
    refuse(&mut table, REFUSED);
    // A kernel takes the lower half of clone's flags, whatever is in the upper. The arguments of clone3 no filter can
    // read: it isn't there, and the C library goes back to clone.
    let own = Condition { argument: 0, mask: NEW_NAMESPACES, values: vec![0], holds: Holds::NotAmong };
    refuse_if(&mut table, libc::SYS_clone, vec![own]);
    set(&mut table, libc::SYS_clone3, Rule::Refuse(NOT_THERE));
    let requests = INTO_A_TERMINAL.into_iter().chain(CHANGES_OF_FLAGS.into_iter().filter(|_| alone));
    refuse_if(&mut table, libc::SYS_ioctl, vec![when(1, Holds::Among, requests.collect())]);
    refuse_sockets(&mut table, contained, local_sockets(contained, landlock));
    if alone {
        refuse(&mut table, NAMED_BY_NUMBER);
        refuse(&mut table, CHANGES_OF_FILES);
        for (call, argument) in BY_PROCESS {
            refuse_if(&mut table, *call, vec![when(*argument, Holds::NotAmong, vec![0])]);
        }
    }
    #[cfg(target_arch = "x86_64")]
    for numbers in [x32::OWN, x32::ALL] {
        table.set(numbers, Rule::Refuse(NOT_PERMITTED));
    }
    table
}

fn refuse(table: &mut Table, calls: &[i64]) {
    calls.iter().for_each(|call| set(table, *call, Rule::Refuse(NOT_PERMITTED)));
}

/// Where any of these holds.
fn refuse_if(table: &mut Table, call: i64, conditions: Vec<Condition>) {
    set(table, call, Rule::RefuseIf(NOT_PERMITTED, conditions));
}

fn set(table: &mut Table, call: i64, rule: Rule) {
    // The library's type is that of what a call returns; its numbers are those of a table in the kernel.
    let number = call as u32;
    table.set(number..=number, rule);
}

fn when(argument: u8, holds: Holds, values: Vec<u32>) -> Condition {
    Condition { argument, mask: u32::MAX, values, holds }
}

/// Which families of sockets are refused: all but those that the network of the run needs.
/// A pair of datagram sockets is as good as one (it may send to any path); pairs of streams are connected for good.
fn refuse_sockets(table: &mut Table, contained: &Containment, local: bool) {
    let mut kept = Vec::new();
    if contained.shape == SandboxBackend::Namespaces || contained.network == Network::Open {
        kept.extend([libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK]);
    }
    if local {
        kept.push(libc::AF_UNIX);
    }
    let numbers = |numbers: &[i32]| numbers.iter().map(|number| number.unsigned_abs()).collect();
    // Raw ones need a capability, and none is left (raw(7)).
    refuse_if(table, libc::SYS_socket, vec![when(0, Holds::NotAmong, numbers(&kept))]);
    let mut pairs = vec![when(0, Holds::NotAmong, numbers(&[libc::AF_UNIX]))];
    if !local {
        // The type is in the low four bits, flags above; a raw Unix socket is one of datagrams (unix(7)).
        let kinds = numbers(&[libc::SOCK_DGRAM, libc::SOCK_RAW]);
        pairs.push(Condition { argument: 1, mask: 0xf, values: kinds, holds: Holds::Among });
    }
    refuse_if(table, libc::SYS_socketpair, pairs);
}

/// Whether a run may make Unix sockets. A path in a place that is shown, or an abstract name in an open network, may be
/// a socket of somebody else's, a container engine's or a key agent's: Landlock sees paths not before ABI 9, and
/// abstract names from ABI 6 on. So they are there where the run is given one, and with namespaces where the network
/// is open and abstract names are closed.
fn local_sockets(contained: &Containment, landlock: u32) -> bool {
    /// The Landlock from which on abstract sockets and signals stay inside.
    const SCOPED: u32 = 6;
    let namespaces = contained.shape == SandboxBackend::Namespaces;
    contained.given || (namespaces && contained.network == Network::Open && landlock >= SCOPED)
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
const CHANGES_OF_FLAGS: [u32; 3] = [0x4008_6602, 0x4004_6602, 0x401c_5820];

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
const NEW_NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

/// Requests that put characters into a terminal's input (ioctl_tty(2)).
const INTO_A_TERMINAL: [u32; 2] = [0x5412, 0x541c];

/// The x32 ABI has the same system calls under other numbers (`__X32_SYSCALL_BIT`), and some of its own, `ptrace` and
/// `ioctl` among them, which old kernels took without the bit, too (arch/x86/entry/syscalls/syscall_64.tbl).
#[cfg(target_arch = "x86_64")]
mod x32 {
    pub(super) const ALL: std::ops::RangeInclusive<u32> = 0x4000_0000..=u32::MAX;
    pub(super) const OWN: std::ops::RangeInclusive<u32> = 512..=547;
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::PathBuf, time::Instant};

    use seccompiler::{
        SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    };

    use super::*;
    use crate::sandbox::linux::compile::tests::{Call, run};

    fn contained(shape: SandboxBackend, network: Network, given: bool) -> Containment {
        Containment {
            shape,
            network,
            places: Vec::new(),
            scratch: PathBuf::new(),
            listen: Vec::new(),
            landlock: true,
            given,
            terminal: false,
        }
    }

    /// Each with a Landlock that leaves abstract sockets inside, and one that does not.
    fn every_kind() -> Vec<(Containment, u32)> {
        let shapes = [SandboxBackend::Namespaces, SandboxBackend::Filters];
        let networks = [Network::None, Network::Proxy, Network::Open];
        let kinds = shapes.into_iter().flat_map(|shape| networks.map(|network| (shape, network)));
        let kinds =
            kinds.flat_map(|(shape, network)| [true, false].map(|given| contained(shape, network, given)));
        kinds.flat_map(|contained| [5, 6].map(|landlock| (contained.clone(), landlock))).collect()
    }

    /// The same refusals, said to another compiler: a chain that compares with one number after the other.
    fn chains(contained: &Containment, landlock: u32) -> Vec<BpfProgram> {
        let when = |argument: u8, operator: SeccompCmpOp, value: i64| {
            SeccompCondition::new(argument, Dword, operator, value.unsigned_abs()).unwrap()
        };
        let any = |conditions: Vec<Vec<SeccompCondition>>| {
            conditions.into_iter().map(|all| SeccompRule::new(all).unwrap()).collect::<Vec<_>>()
        };
        let alone = contained.shape == SandboxBackend::Filters;
        let mut calls = REFUSED.to_vec();
        let mut refused = BTreeMap::new();
        let namespaces =
            (0..32).map(|bit| 1_u32 << bit).filter(|bit| NEW_NAMESPACES & bit != 0).map(i64::from);
        let bit = |bit: i64| vec![when(0, SeccompCmpOp::MaskedEq(bit.unsigned_abs()), bit)];
        refused.insert(libc::SYS_clone, any(namespaces.map(bit).collect()));
        let mut requests = INTO_A_TERMINAL.to_vec();
        if alone {
            requests.extend(CHANGES_OF_FLAGS);
            calls.extend(NAMED_BY_NUMBER.iter().chain(CHANGES_OF_FILES));
            for (call, argument) in BY_PROCESS {
                refused.insert(*call, any(vec![vec![when(*argument, SeccompCmpOp::Ne, 0)]]));
            }
        }
        let request = |request: u32| vec![when(1, SeccompCmpOp::Eq, i64::from(request))];
        refused.insert(libc::SYS_ioctl, any(requests.into_iter().map(request).collect()));
        let networked = [libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
        let networked = networked.into_iter().filter(|_| !alone || contained.network == Network::Open);
        let local = local_sockets(contained, landlock);
        let kept: Vec<i32> = networked.chain(local.then_some(libc::AF_UNIX)).collect();
        if kept.is_empty() {
            calls.push(libc::SYS_socket);
        } else {
            let other = kept.iter().map(|kept| when(0, SeccompCmpOp::Ne, i64::from(*kept))).collect();
            refused.insert(libc::SYS_socket, any(vec![other]));
        }
        let mut pairs = vec![vec![when(0, SeccompCmpOp::Ne, libc::AF_UNIX.into())]];
        let kinds = [libc::SOCK_DGRAM, libc::SOCK_RAW].into_iter().filter(|_| !local);
        pairs.extend(kinds.map(|kind| vec![when(1, SeccompCmpOp::MaskedEq(0xf), kind.into())]));
        refused.insert(libc::SYS_socketpair, any(pairs));
        refused.extend(calls.into_iter().map(|call| (call, Vec::new())));
        [(refused, libc::EPERM), (BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)]
            .map(|(rules, errno)| {
                let action = SeccompAction::Errno(errno.unsigned_abs());
                let ours = env::consts::ARCH.try_into().unwrap();
                SeccompFilter::new(rules, SeccompAction::Allow, action, ours).unwrap().try_into().unwrap()
            })
            .into()
    }

    /// What several filters say: the kernel goes by the strictest, which has the lowest number, with its sign.
    fn chained(chains: &[BpfProgram], call: &Call) -> u32 {
        let other_abi =
            cfg!(target_arch = "x86_64") && (call.number >= 0x4000_0000 || (512..548).contains(&call.number));
        let said = chains.iter().map(|chain| run(chain, call).0);
        let said = said.chain(other_abi.then_some(libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs()));
        said.min_by_key(|said| said.cast_signed()).unwrap()
    }

    /// Every value that a rule speaks of, its neighbours, and each with something in the upper half.
    fn arguments() -> Vec<u64> {
        let families = 0..=u64::from(libc::AF_VSOCK.unsigned_abs());
        let requests = INTO_A_TERMINAL.into_iter().chain(CHANGES_OF_FLAGS).map(u64::from);
        let near = requests.flat_map(|request| [request - 1, request, request + 1]);
        let bits = (0..64).map(|bit| 1_u64 << bit);
        let kinds = [libc::SOCK_DGRAM, libc::SOCK_STREAM, libc::SOCK_RAW, libc::SOCK_SEQPACKET];
        let kinds =
            kinds.map(|kind| u64::from((kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK).unsigned_abs()));
        let low: Vec<u64> = families.chain(near).chain(bits).chain(kinds).chain([u64::MAX]).collect();
        low.iter().copied().chain(low.iter().map(|low| low | 0x5_0000_0000)).collect()
    }

    fn calls() -> impl Iterator<Item = u32> {
        let x32 = [0x4000_0000_u32, 0x7fff_ffff, 0x8000_0000];
        let x32 = x32.into_iter().flat_map(|edge| edge - 1..=edge.saturating_add(548));
        (0..=1024).chain(x32).chain([u32::MAX - 1, u32::MAX])
    }

    #[test]
    fn the_tree_says_what_a_chain_of_every_number_says() {
        let ours = architecture().unwrap();
        let first = |number: i64| Call { number: number as u32, architecture: ours, arguments: [0; 6] };
        for (contained, landlock) in every_kind() {
            let (tree, chains) = (filter(&contained, landlock).unwrap(), chains(&contained, landlock));
            let same = |call: Call| {
                assert_eq!(run(&tree, &call).0, chained(&chains, &call), "{contained:?} {call:?}")
            };
            for number in calls() {
                for architecture in [ours, 0x4000_0003, ours ^ 1, 0] {
                    same(Call { number, architecture, arguments: [0; 6] });
                    same(Call { number, architecture, arguments: [u64::MAX; 6] });
                }
            }
            let table = table(&contained, landlock);
            let tested = (0..1024).filter(|number| matches!(table.rule(*number), Rule::RefuseIf(..)));
            for number in tested {
                for (one, other) in
                    arguments().iter().flat_map(|one| [0, 1, 2, 1 << 32].map(|other| (*one, other)))
                {
                    same(Call { arguments: [one, other, 0, 0, 0, 0], ..first(number.into()) });
                    same(Call { arguments: [other, one, 0, 0, 0, 0], ..first(number.into()) });
                }
            }
            // So that it is known what both say.
            let said = |number: i64| run(&tree, &first(number)).0;
            assert_eq!(said(libc::SYS_ptrace), libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs());
            assert_eq!(said(libc::SYS_clone3), libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs());
            assert_eq!(said(libc::SYS_read), libc::SECCOMP_RET_ALLOW);
        }
    }

    fn longest(program: &BpfProgram) -> usize {
        let ours = architecture().unwrap();
        let all = calls().flat_map(|number| [[0; 6], [1; 6], [2; 6], [u64::MAX; 6]].map(|all| (number, all)));
        let passed = |(number, arguments)| run(program, &Call { number, architecture: ours, arguments }).1;
        all.map(passed).max().unwrap()
    }

    /// What a run pays for by each instruction: of the program when it is loaded, of the path at every call.
    #[test]
    fn a_filter_is_short_and_its_paths_are_shorter() {
        for (contained, landlock) in every_kind() {
            let filter = filter(&contained, landlock).unwrap();
            let longest = longest(&filter);
            assert!(filter.len() <= 145 && longest <= 17, "{} {longest}: {contained:?}", filter.len());
        }
    }

    /// What loading takes, by a thread each, which keeps its filters.
    #[test]
    #[ignore = "prints times"]
    fn loading_a_tree_takes_less_than_loading_a_chain() {
        let once = |programs: &Vec<BpfProgram>| {
            std::thread::scope(|scope| {
                let timed = scope.spawn(|| {
                    let begun = Instant::now();
                    programs.iter().for_each(|program| seccompiler::apply_filter(program).unwrap());
                    begun.elapsed()
                });
                timed.join().unwrap()
            })
        };
        for (kind, landlock) in
            every_kind().into_iter().filter(|(kind, landlock)| !kind.given && *landlock == 6)
        {
            let (chains, tree) = (chains(&kind, landlock), vec![filter(&kind, landlock).unwrap()]);
            let of = |programs: &Vec<BpfProgram>| {
                let mut took: Vec<_> = (0..200).map(|_| once(programs)).collect();
                took.sort();
                let instructions: usize = programs.iter().map(Vec::len).sum();
                let path = programs.iter().map(longest).sum::<usize>();
                format!(
                    "{instructions} instructions, {path} at most: min {:?}, median {:?}",
                    took[0], took[100]
                )
            };
            eprintln!(
                "{:?}, network {:?}: chain {}; tree {}",
                kind.shape,
                kind.network,
                of(&chains),
                of(&tree)
            );
        }
    }
}
