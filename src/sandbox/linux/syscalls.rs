//! Which system calls a program may make, and with which arguments (seccomp(2)).
//!
//! The list is one of what is allowed (`calls.rs`). What is known and not in it isn't permitted; what is above the
//! youngest number that is known isn't there, whatever this kernel has. Among that are x32's: the same calls by other
//! numbers (`__X32_SYSCALL_BIT`), and 512 to 547, which old kernels took without the bit, too.

use std::{env, io};

use seccompiler::BpfProgram;

use super::{
    super::{Containment, SandboxBackend},
    calls::{ALLOWED, Group, NEWEST, Whose},
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

/// What becomes of each call of a program that is contained like this.
fn table(contained: &Containment, landlock: u32) -> Table {
    let alone = contained.shape != SandboxBackend::Namespaces;
    let mut table = Table::of(Rule::Refuse(NOT_PERMITTED));
    table.set(NEWEST + 1..=u32::MAX, Rule::Refuse(NOT_THERE));
    allow(&mut table, |group| {
        group.whose == Whose::EveryRun || (group.whose == Whose::WithNamespaces && !alone)
    });
    refuse_arguments(&mut table, alone);
    refuse_sockets(&mut table, contained, local_sockets(contained, landlock));
    if alone {
        for (call, argument) in BY_PROCESS {
            refuse_if(&mut table, *call, vec![when(*argument, Holds::NotAmong, each(&[0]))]);
        }
    }
    table
}

/// Allows the calls of these groups. Neighbours are set at once: the table is made for every run.
fn allow(table: &mut Table, which: impl Fn(&Group) -> bool) {
    let groups = ALLOWED.iter().filter(|group| which(group));
    let numbers = groups.flat_map(|group| group.calls).filter_map(|call| call.number().map(u32::from));
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    for range in numbers.chunk_by(|one, next| one + 1 == *next) {
        if let (Some(from), Some(to)) = (range.first(), range.last()) {
            table.set(*from..=*to, Rule::Allow);
        }
    }
}

/// What is refused of calls that are allowed, by an argument.
fn refuse_arguments(table: &mut Table, alone: bool) {
    // A kernel takes the lower half of clone's flags, whatever is in the upper. The arguments of clone3 no filter can
    // read: it isn't there, and the C library goes back to clone.
    let own = Condition { argument: 0, mask: NEW_NAMESPACES, values: each(&[0]), holds: Holds::NotAmong };
    refuse_if(table, libc::SYS_clone, vec![own]);
    set(table, libc::SYS_clone3, Rule::Refuse(NOT_THERE));
    let requests: Vec<u32> =
        INTO_A_TERMINAL.into_iter().chain(CHANGES_OF_FLAGS.into_iter().filter(|_| alone)).collect();
    refuse_if(table, libc::SYS_ioctl, vec![when(1, Holds::Among, each(&requests))]);
    refuse_if(table, libc::SYS_fcntl, vec![when(1, Holds::NotAmong, COMMANDS.to_vec())]);
    refuse_if(table, libc::SYS_personality, vec![when(0, Holds::NotAmong, each(&PERSONALITIES))]);
    let listens = Condition { argument: 1, mask: NEW_LISTENER, values: each(&[0]), holds: Holds::NotAmong };
    refuse_if(table, libc::SYS_seccomp, vec![listens]);
}

/// Where one of these holds.
fn refuse_if(table: &mut Table, call: i64, conditions: Vec<Condition>) {
    set(table, call, Rule::RefuseIf(NOT_PERMITTED, conditions.into_iter().map(|one| vec![one]).collect()));
}

fn set(table: &mut Table, call: i64, rule: Rule) {
    // The library's type is that of what a call returns; its numbers are those of a table in the kernel.
    let number = call as u32;
    table.set(number..=number, rule);
}

fn when(argument: u8, holds: Holds, values: Vec<(u32, u32)>) -> Condition {
    Condition { argument, mask: u32::MAX, values, holds }
}

fn each(values: &[u32]) -> Vec<(u32, u32)> {
    values.iter().map(|value| (*value, *value)).collect()
}

/// Which families and protocols of sockets are refused: all but those that the network of the run needs.
/// A pair of datagram sockets is as good as one (it may send to any path); pairs of streams are connected for good.
fn refuse_sockets(table: &mut Table, contained: &Containment, local: bool) {
    let numbers = |numbers: &[i32]| -> Vec<(u32, u32)> {
        each(&numbers.iter().map(|number| number.unsigned_abs()).collect::<Vec<u32>>())
    };
    let mut kept = Vec::new();
    if contained.shape == SandboxBackend::Namespaces || contained.network == Network::Open {
        kept.extend([libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK]);
    }
    if local {
        kept.push(libc::AF_UNIX);
    }
    // Raw ones need a capability, and none is left (raw(7)).
    let family = when(0, Holds::NotAmong, numbers(&kept));
    let protocol = when(2, Holds::NotAmong, numbers(&PROTOCOLS));
    let netlink = when(0, Holds::Among, numbers(&[libc::AF_NETLINK]));
    let more_than_routes = vec![netlink, when(2, Holds::NotAmong, numbers(&[libc::NETLINK_ROUTE]))];
    let sockets = vec![vec![family], vec![protocol], more_than_routes];
    set(table, libc::SYS_socket, Rule::RefuseIf(NOT_PERMITTED, sockets));
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

/// What sockets speak: what the family takes for itself (0), ICMP, TCP, UDP, ICMP of version 6. Every other (MPTCP,
/// UDP-Lite, SCTP, DCCP) is a door to the kernel that programs do without. A family that a number is not a protocol of
/// refuses it itself.
const PROTOCOLS: [i32; 5] =
    [0, libc::IPPROTO_ICMP, libc::IPPROTO_TCP, libc::IPPROTO_UDP, libc::IPPROTO_ICMPV6];

/// Commands of fcntl (linux/fcntl.h) that may be given. Not among them: leases, delegations and `F_NOTIFY`, with which a
/// program that may only read a file holds up those who write it, or tells them something; and hints, which stay with
/// the file.
const COMMANDS: [(u32, u32); 7] = [
    // Descriptors, flags, locks of records, who is signalled.
    (0, 11),
    // F_SETOWN_EX, F_GETOWN_EX, F_GETOWNER_UIDS.
    (15, 17),
    // Locks of what is open: F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW.
    (36, 38),
    // F_GETLEASE.
    (1025, 1025),
    // F_DUPFD_QUERY, F_CREATED_QUERY.
    (1027, 1028),
    // F_DUPFD_CLOEXEC, F_SETPIPE_SZ, F_GETPIPE_SZ, F_ADD_SEALS, F_GET_SEALS, F_GET_RW_HINT.
    (1030, 1035),
    // F_GET_FILE_RW_HINT.
    (1037, 1037),
];

/// What a process may be: Linux's own kind, and what it is already, which is a question (personality(2)). Others turn off
/// that addresses are at random, or make what may be read run.
const PERSONALITIES: [u32; 2] = [0, u32::MAX];

/// `SECCOMP_FILTER_FLAG_NEW_LISTENER`: a process that answers other processes' system calls.
const NEW_LISTENER: u32 = 1 << 3;

/// Without read-only mounts, requests that change a file's flags by a descriptor that reads (`FS_IOC_SETFLAGS`,
/// `FS_IOC_FSSETXATTR`).
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

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::PathBuf, time::Instant};

    use seccompiler::{
        SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    };

    use super::*;
    use crate::sandbox::linux::{
        calls::SystemCall,
        compile::tests::{Call, run},
    };

    fn contained(shape: SandboxBackend, network: Network, given: bool) -> Containment {
        Containment {
            shape,
            network,
            places: Vec::new(),
            scratch: PathBuf::new(),
            listen: Vec::new(),
            covers: Vec::new(),
            landlock: true,
            locks: crate::sandbox::Locks::Shared,
            given,
            terminal: false,
            memory: None,
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

    /// The same list, said to another compiler: a chain that compares with one number after the other, and with what
    /// an argument may be.
    fn chain(contained: &Containment, landlock: u32) -> BpfProgram {
        use SeccompCmpOp::{Eq, MaskedEq, Ne};
        let when = |argument: u8, operator: SeccompCmpOp, value: u32| {
            SeccompCondition::new(argument, Dword, operator, value.into()).unwrap()
        };
        let any = |conditions: Vec<Vec<SeccompCondition>>| {
            conditions.into_iter().map(|all| SeccompRule::new(all).unwrap()).collect::<Vec<_>>()
        };
        let alone = contained.shape == SandboxBackend::Filters;
        let groups = ALLOWED.iter().filter(|group| !alone || group.whose == Whose::EveryRun);
        let calls = groups.flat_map(|group| group.calls).filter_map(SystemCall::number);
        let mut allowed: BTreeMap<i64, Vec<SeccompRule>> =
            calls.map(|number| (i64::from(number), Vec::new())).collect();
        let namespaces = (0..32).map(|bit| 1_u32 << bit).filter(|bit| NEW_NAMESPACES & bit != 0);
        let none = namespaces.map(|bit| when(0, MaskedEq(bit.into()), 0)).collect();
        allowed.insert(libc::SYS_clone, any(vec![none]));
        let requests = INTO_A_TERMINAL.into_iter().chain(CHANGES_OF_FLAGS.into_iter().filter(|_| alone));
        allowed.insert(libc::SYS_ioctl, any(vec![requests.map(|request| when(1, Ne, request)).collect()]));
        let commands = COMMANDS.into_iter().flat_map(|(from, to)| from..=to);
        allowed.insert(libc::SYS_fcntl, any(commands.map(|command| vec![when(1, Eq, command)]).collect()));
        allowed.insert(libc::SYS_personality, any(vec![vec![when(0, Eq, 0)], vec![when(0, Eq, u32::MAX)]]));
        allowed.insert(libc::SYS_seccomp, any(vec![vec![when(1, MaskedEq(8), 0)]]));
        if alone {
            for (call, argument) in BY_PROCESS {
                allowed.insert(*call, any(vec![vec![when(*argument, Eq, 0)]]));
            }
        }
        let number = |number: i32| number.unsigned_abs();
        let networked = !alone || contained.network == Network::Open;
        let local = local_sockets(contained, landlock);
        let families = [(libc::AF_INET, networked), (libc::AF_INET6, networked), (libc::AF_UNIX, local)];
        let families = families.into_iter().filter(|(_, kept)| *kept);
        let mut sockets: Vec<_> = families
            .flat_map(|(family, _)| PROTOCOLS.map(|protocol| (family, protocol)))
            .chain(networked.then_some((libc::AF_NETLINK, libc::NETLINK_ROUTE)))
            .map(|(family, protocol)| vec![when(0, Eq, number(family)), when(2, Eq, number(protocol))])
            .collect();
        if sockets.is_empty() {
            // No family is this one, and the compiler takes no rule that never holds.
            sockets.push(vec![when(0, Eq, u32::MAX), when(0, Eq, 0)]);
        }
        allowed.insert(libc::SYS_socket, any(sockets));
        let kinds = [libc::SOCK_DGRAM, libc::SOCK_RAW].into_iter().filter(|_| !local).map(number);
        let kinds = (0..16_u32).filter(|kind| !kinds.clone().any(|other| other == *kind));
        let pair = |kind: u32| vec![when(0, Eq, number(libc::AF_UNIX)), when(1, MaskedEq(0xf), kind)];
        allowed.insert(libc::SYS_socketpair, any(kinds.map(pair).collect()));
        let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        let ours = env::consts::ARCH.try_into().unwrap();
        SeccompFilter::new(allowed, refused, SeccompAction::Allow, ours).unwrap().try_into().unwrap()
    }

    /// What the chain says, but for what isn't there.
    fn chained(chain: &BpfProgram, call: &Call) -> u32 {
        let absent = call.number > NEWEST || call.number == libc::SYS_clone3 as u32;
        match run(chain, call).0 {
            libc::SECCOMP_RET_KILL_PROCESS => libc::SECCOMP_RET_KILL_PROCESS,
            _ if absent => libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs(),
            said => said,
        }
    }

    /// Every value that a rule speaks of, its neighbours, and each with something in the upper half.
    fn arguments() -> Vec<u64> {
        let families = 0..=u64::from(libc::AF_VSOCK.unsigned_abs());
        let requests = INTO_A_TERMINAL.into_iter().chain(CHANGES_OF_FLAGS).map(u64::from);
        let near = requests.flat_map(|request| [request - 1, request, request + 1]);
        let bits = (0..64).map(|bit| 1_u64 << bit);
        let commands = COMMANDS.into_iter().flat_map(|(from, to)| [from, to, to + 1]).map(u64::from);
        let kinds = [libc::SOCK_DGRAM, libc::SOCK_STREAM, libc::SOCK_RAW, libc::SOCK_SEQPACKET];
        let kinds =
            kinds.map(|kind| u64::from((kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK).unsigned_abs()));
        let low: Vec<u64> =
            families.chain(near).chain(commands).chain(bits).chain(kinds).chain([u64::MAX]).collect();
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
            let (tree, chain) = (filter(&contained, landlock).unwrap(), chain(&contained, landlock));
            let same = |call: Call| {
                assert_eq!(run(&tree, &call).0, chained(&chain, &call), "{contained:?} {call:?}")
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
                    arguments().iter().flat_map(|one| [0, 1, 2, 6, 16, 1 << 32].map(|other| (*one, other)))
                {
                    same(Call { arguments: [one, other, 0, 0, 0, 0], ..first(number.into()) });
                    same(Call { arguments: [other, one, 0, 0, 0, 0], ..first(number.into()) });
                    same(Call { arguments: [one, 1, other, 0, 0, 0], ..first(number.into()) });
                    same(Call { arguments: [other, 1, one, 0, 0, 0], ..first(number.into()) });
                }
            }
            // So that it is known what both say.
            let said = |number: i64| run(&tree, &first(number)).0;
            assert_eq!(said(libc::SYS_ptrace), libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs());
            let absent = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
            assert_eq!([libc::SYS_clone3, i64::from(NEWEST) + 1, 0x4000_0000].map(said), [absent; 3]);
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
            assert!(filter.len() <= 170 && longest <= 24, "{} {longest}: {contained:?}", filter.len());
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
            let (chains, tree) = (vec![chain(&kind, landlock)], vec![filter(&kind, landlock).unwrap()]);
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
