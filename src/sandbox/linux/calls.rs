//! Every system call of Linux that is known here, in groups: which a program may make, which it may not, and why. The page
//! `docs/system-calls.md` is made of it.
//!
//! What is in no group that a run has is refused, so what the kernel will have some day is, too.

use std::fmt::Write;

/// Calls that have one reason.
pub(crate) struct Group {
    /// What they are.
    pub name: &'static str,
    /// Why a run may make them, or may not.
    pub why: &'static str,
    /// Which runs may.
    pub whose: Whose,
    /// The calls.
    pub calls: &'static [SystemCall],
}

/// Which runs may make the calls of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// None.
    Nobody,
    /// Those that have namespaces of their own.
    WithNamespaces,
    /// All.
    EveryRun,
}

/// A system call, and its numbers: on x86_64 (`arch/x86/entry/syscalls/syscall_64.tbl`), and on what came after it
/// (`scripts/syscall.tbl`: aarch64, riscv64), where it is there. From 424 on the two are the same.
pub(crate) struct SystemCall {
    pub name: &'static str,
    pub x86_64: Option<u16>,
    pub generic: Option<u16>,
}

impl SystemCall {
    /// Its number on the architecture that this is built for.
    pub(crate) fn number(&self) -> Option<u16> {
        if cfg!(target_arch = "x86_64") { self.x86_64 } else { self.generic }
    }
}

/// The greatest number that is known here (Linux 6.18). A kernel that has more says of them what one says that has not:
/// a C library goes back to what it did before.
pub(crate) const NEWEST: u32 = 469;

macro_rules! calls {
    ($($name:ident $x86_64:tt $generic:tt),* $(,)?) => {
        &[$(SystemCall {
            name: stringify!($name),
            x86_64: calls!(@ $x86_64),
            generic: calls!(@ $generic),
        }),*]
    };
    (@ _) => { None };
    (@ $number:literal) => { Some($number) };
}

/// What a program may do.
pub(crate) const ALLOWED: &[Group] = &[
    Group {
        name: "Files and directories",
        why: "To read and write files, and to look up what is where. Which files there are is the view's and \
              Landlock's to say.",
        whose: Whose::EveryRun,
        calls: calls![
            read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, preadv 295 69,
            pwritev 296 70, preadv2 327 286, pwritev2 328 287, lseek 8 62, open 2 _, openat 257 56,
            openat2 437 437, creat 85 _, close 3 57, close_range 436 436, stat 4 _, fstat 5 80, lstat 6 _,
            newfstatat 262 79, statx 332 291, access 21 _, faccessat 269 48, faccessat2 439 439, getdents 78 _,
            getdents64 217 61, getcwd 79 17, chdir 80 49, fchdir 81 50, mkdir 83 _, mkdirat 258 34, rmdir 84 _,
            unlink 87 _, unlinkat 263 35, rename 82 _, renameat 264 38, renameat2 316 276, link 86 _,
            linkat 265 37, symlink 88 _, symlinkat 266 36, readlink 89 _, readlinkat 267 78, mknod 133 _,
            mknodat 259 33, truncate 76 45, ftruncate 77 46, fallocate 285 47, umask 95 166, statfs 137 43,
            fstatfs 138 44, getxattr 191 8, lgetxattr 192 9, fgetxattr 193 10, getxattrat 464 464,
            listxattr 194 11, llistxattr 195 12, flistxattr 196 13, listxattrat 465 465,
        ],
    },
    Group {
        name: "What a file is",
        why: "Modes, owners, times and attributes. Only with mounts of its own, which are read-only: Landlock \
               does not see these changes, and a value could leave by a mode, an attribute or a time.",
        whose: Whose::WithNamespaces,
        calls: calls![
            chmod 90 _, fchmod 91 52, fchmodat 268 53, fchmodat2 452 452, chown 92 _, fchown 93 55, lchown 94 _,
            fchownat 260 54, utime 132 _, utimes 235 _, futimesat 261 _, utimensat 280 88, setxattr 188 5,
            lsetxattr 189 6, fsetxattr 190 7, setxattrat 463 463, removexattr 197 14, lremovexattr 198 15,
            fremovexattr 199 16, removexattrat 466 466,
        ],
    },
    Group {
        name: "Descriptors, and data between them",
        why: "Pipes, copies of descriptors, copies from one to another, locks, and what brings files to the \
              disk. Requests that would hold a writer up or put characters into a terminal are refused by \
              their number.",
        whose: Whose::EveryRun,
        calls: calls![
            dup 32 23, dup2 33 _, dup3 292 24, fcntl 72 25, ioctl 16 29, flock 73 32, pipe 22 _, pipe2 293 59,
            sendfile 40 71, splice 275 76, tee 276 77, copy_file_range 326 285, fsync 74 82, fdatasync 75 83,
            sync 162 81, syncfs 306 267, sync_file_range 277 84, readahead 187 213, fadvise64 221 223,
        ],
    },
    Group {
        name: "Waiting for events",
        why: "How runtimes wait for many descriptors at once, and how build tools watch files.",
        whose: Whose::EveryRun,
        calls: calls![
            poll 7 _, ppoll 271 73, select 23 _, pselect6 270 72, epoll_create 213 _, epoll_create1 291 20,
            epoll_ctl 233 21, epoll_wait 232 _, epoll_pwait 281 22, epoll_pwait2 441 441, eventfd 284 _,
            eventfd2 290 19, signalfd 282 _, signalfd4 289 74, inotify_init 253 _, inotify_init1 294 26,
            inotify_add_watch 254 27, inotify_rm_watch 255 28,
        ],
    },
    Group {
        name: "Memory",
        why: "The process's own: to map it, protect it, lock it and give advice on it.",
        whose: Whose::EveryRun,
        calls: calls![
            brk 12 214, mmap 9 222, munmap 11 215, mprotect 10 226, mremap 25 216, msync 26 227, mincore 27 232,
            madvise 28 233, mlock 149 228, mlock2 325 284, mlockall 151 230, munlock 150 229,
            munlockall 152 231, memfd_create 319 279, mseal 462 462, map_shadow_stack 453 453,
            pkey_alloc 330 289, pkey_free 331 290, pkey_mprotect 329 288,
        ],
    },
    Group {
        name: "Processes and threads",
        why: "To start programs, wait for them and end. Namespaces of one's own are refused by clone's flags, \
               and clone3, whose flags no filter can read, isn't there: the C library goes back to clone.",
        whose: Whose::EveryRun,
        calls: calls![
            clone 56 220, fork 57 _, vfork 58 _, execve 59 221, execveat 322 281, exit 60 93, exit_group 231 94,
            wait4 61 260, waitid 247 95, set_tid_address 218 96, gettid 186 178, getpid 39 172, getppid 110 173,
            getpgid 121 155, getpgrp 111 _, setpgid 109 154, getsid 124 156, setsid 112 157,
            set_robust_list 273 99, get_robust_list 274 100, futex 202 98, futex_waitv 449 449,
            futex_wake 454 454, futex_wait 455 455, futex_requeue 456 456, rseq 334 293, membarrier 324 283,
            arch_prctl 158 _, prctl 157 167, personality 135 92, restart_syscall 219 128, getcpu 309 168,
            riscv_hwprobe _ 258, riscv_flush_icache _ 259,
        ],
    },
    Group {
        name: "Who a process is",
        why: "Asked by many programs, set by few, and to what they are already: no capability is left.",
        whose: Whose::EveryRun,
        calls: calls![
            getuid 102 174, geteuid 107 175, getgid 104 176, getegid 108 177, getgroups 115 158,
            getresuid 118 148, getresgid 120 150, setuid 105 146, setgid 106 144, setreuid 113 145,
            setregid 114 143, setresuid 117 147, setresgid 119 149, setfsuid 122 151, setfsgid 123 152,
            setgroups 116 159, capget 125 90, capset 126 91,
        ],
    },
    Group {
        name: "Processors and limits",
        why: "How runtimes size and place their threads, and how much they may use. Without a process \
              namespace, only one's own.",
        whose: Whose::EveryRun,
        calls: calls![
            sched_yield 24 124, sched_setaffinity 203 122, sched_getaffinity 204 123, sched_setparam 142 118,
            sched_getparam 143 121, sched_setscheduler 144 119, sched_getscheduler 145 120,
            sched_setattr 314 274, sched_getattr 315 275, sched_get_priority_max 146 125,
            sched_get_priority_min 147 126, sched_rr_get_interval 148 127, getpriority 140 141,
            setpriority 141 140, ioprio_set 251 30, ioprio_get 252 31, getrlimit 97 163, setrlimit 160 164,
            prlimit64 302 261, getrusage 98 165, times 100 153,
        ],
    },
    Group {
        name: "Signals",
        why: "To a process of the run: a process namespace, or Landlock, keeps them inside.",
        whose: Whose::EveryRun,
        calls: calls![
            rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136,
            rt_sigsuspend 130 133, rt_sigtimedwait 128 137, rt_sigqueueinfo 129 138, rt_tgsigqueueinfo 297 240,
            sigaltstack 131 132, kill 62 129, tkill 200 130, tgkill 234 131, pause 34 _, pidfd_open 434 434,
            pidfd_send_signal 424 424,
        ],
    },
    Group {
        name: "Time",
        why: "To tell it, and to wait. Nobody sets it.",
        whose: Whose::EveryRun,
        calls: calls![
            time 201 _, gettimeofday 96 169, clock_gettime 228 113, clock_getres 229 114,
            clock_nanosleep 230 115, nanosleep 35 101, alarm 37 _, getitimer 36 102, setitimer 38 103,
            timer_create 222 107, timer_settime 223 110, timer_gettime 224 108, timer_getoverrun 225 109,
            timer_delete 226 111, timerfd_create 283 85, timerfd_settime 286 86, timerfd_gettime 287 87,
        ],
    },
    Group {
        name: "Sockets",
        why: "Which families and protocols there are is a matter of the network that the policy gives: TCP, \
              UDP and ICMP, questions to the routing table, and Unix sockets where the run may have them. \
              Nothing else can be made.",
        whose: Whose::EveryRun,
        calls: calls![
            socket 41 198, socketpair 53 199, bind 49 200, listen 50 201, accept 43 202, accept4 288 242,
            connect 42 203, getsockname 51 204, getpeername 52 205, sendto 44 206, recvfrom 45 207,
            sendmsg 46 211, recvmsg 47 212, sendmmsg 307 269, recvmmsg 299 243, shutdown 48 210,
            setsockopt 54 208, getsockopt 55 209,
        ],
    },
    Group {
        name: "Objects with a number or a name",
        why: "System V's and POSIX's shared memory, queues and semaphores. Only where they are the run's own: \
               without namespaces they are those of every process of the user.",
        whose: Whose::WithNamespaces,
        calls: calls![
            shmget 29 194, shmat 30 196, shmctl 31 195, shmdt 67 197, msgget 68 186, msgsnd 69 189,
            msgrcv 70 188, msgctl 71 187, semget 64 190, semop 65 193, semtimedop 220 192, semctl 66 191,
            mq_open 240 180, mq_unlink 241 181, mq_timedsend 242 182, mq_timedreceive 243 183,
            mq_notify 244 184, mq_getsetattr 245 185,
        ],
    },
    Group {
        name: "The machine, and chance",
        why: "What a C library asks as it starts.",
        whose: Whose::EveryRun,
        calls: calls![
            uname 63 160, sysinfo 99 179, getrandom 318 278,
        ],
    },
    Group {
        name: "Filters of one's own",
        why: "A program may narrow itself further. A listener, which answers system calls in another's place, \
               is refused.",
        whose: Whose::EveryRun,
        calls: calls![
            seccomp 317 277, landlock_create_ruleset 444 444, landlock_add_rule 445 445,
            landlock_restrict_self 446 446,
        ],
    },
];

/// What none may: each is known, and refused as not permitted.
pub(crate) const REFUSED: &[Group] = &[
    Group {
        name: "Other processes' memory and descriptors",
        why: "A value that another process holds.",
        whose: Whose::Nobody,
        calls: calls![
            ptrace 101 117, process_vm_readv 310 270, process_vm_writev 311 271, process_madvise 440 440,
            process_mrelease 448 448, pidfd_getfd 438 438, kcmp 312 272,
        ],
    },
    Group {
        name: "Namespaces, mounts and roots",
        why: "Where a run could put another view together, or look behind the one that it has.",
        whose: Whose::Nobody,
        calls: calls![
            unshare 272 97, setns 308 268, clone3 435 435, mount 165 40, umount2 166 39, pivot_root 155 41,
            chroot 161 51, move_mount 429 429, open_tree 428 428, open_tree_attr 467 467, fsopen 430 430,
            fsconfig 431 431, fsmount 432 432, fspick 433 433, mount_setattr 442 442, statmount 457 457,
            listmount 458 458, sysfs 139 _,
        ],
    },
    Group {
        name: "The kernel's own machinery",
        why: "Large, young, and where most ways into a kernel have been found. What runtimes do with it they \
              do without it, too.",
        whose: Whose::Nobody,
        calls: calls![
            io_uring_setup 425 425, io_uring_enter 426 426, io_uring_register 427 427, io_setup 206 0,
            io_destroy 207 1, io_submit 209 2, io_cancel 210 3, io_getevents 208 4, io_pgetevents 333 292,
            bpf 321 280, perf_event_open 298 241, userfaultfd 323 282, uretprobe 335 _, uprobe 336 _,
            vmsplice 278 75, remap_file_pages 216 234,
        ],
    },
    Group {
        name: "Keys, and memory that can't be looked at",
        why: "The kernel's keyrings outlive a run, and are the user's. Memory that even root can't read hides \
               what a run does.",
        whose: Whose::Nobody,
        calls: calls![
            add_key 248 217, request_key 249 218, keyctl 250 219, memfd_secret 447 447,
        ],
    },
    Group {
        name: "Files by a handle, watches on all files, what a file system keeps",
        why: "They reach files by another way than the paths that are shown, or tell what of them others have \
               read.",
        whose: Whose::Nobody,
        calls: calls![
            open_by_handle_at 304 265, name_to_handle_at 303 264, fanotify_init 300 262, fanotify_mark 301 263,
            quotactl 179 60, quotactl_fd 443 443, cachestat 451 451, file_getattr 468 468, file_setattr 469 469,
            lookup_dcookie 212 18, nfsservctl 180 42, ustat 136 _,
        ],
    },
    Group {
        name: "Memory's place on large machines",
        why: "Places memory on the nodes of a large machine, for other processes too; programs go on where \
              they are told that there are none.",
        whose: Whose::Nobody,
        calls: calls![
            mbind 237 235, set_mempolicy 238 237, get_mempolicy 239 236, set_mempolicy_home_node 450 450,
            migrate_pages 256 238, move_pages 279 239,
        ],
    },
    Group {
        name: "The machine's administration",
        why: "What only root does: modules, start and stop, swap, accounting, names, the log, the clock, \
              devices' ports.",
        whose: Whose::Nobody,
        calls: calls![
            init_module 175 105, finit_module 313 273, delete_module 176 106, kexec_load 246 104,
            kexec_file_load 320 294, reboot 169 142, swapon 167 224, swapoff 168 225, acct 163 89,
            sethostname 170 161, setdomainname 171 162, syslog 103 116, vhangup 153 58, settimeofday 164 170,
            clock_settime 227 112, clock_adjtime 305 266, adjtimex 159 171, iopl 172 _, ioperm 173 _,
            lsm_get_self_attr 459 459, lsm_set_self_attr 460 460, lsm_list_modules 461 461,
        ],
    },
    Group {
        name: "What is left of older systems",
        why: "Not there any more, or for programs of 16 or 32 bits.",
        whose: Whose::Nobody,
        calls: calls![
            modify_ldt 154 _, set_thread_area 205 _, get_thread_area 211 _, uselib 134 _, _sysctl 156 _,
            create_module 174 _, get_kernel_syms 177 _, query_module 178 _, getpmsg 181 _, putpmsg 182 _,
            afs_syscall 183 _, tuxcall 184 _, security 185 _, vserver 236 _, epoll_ctl_old 214 _,
            epoll_wait_old 215 _,
        ],
    },
];

/// The groups as `docs/system-calls.md` has them.
pub fn system_calls() -> String {
    let mut page = String::from("## Allowed\n\n");
    write_groups(&mut page, ALLOWED);
    page.push_str("\n## Refused\n\n");
    write_groups(&mut page, REFUSED);
    page
}

fn write_groups(page: &mut String, groups: &[Group]) {
    page.push_str("| group | for | why | calls |\n|---|---|---|---|\n");
    for group in groups {
        let whose = match group.whose {
            Whose::Nobody => "nobody",
            Whose::WithNamespaces => "runs with namespaces",
            Whose::EveryRun => "every run",
        };
        let calls: Vec<&str> = group.calls.iter().map(|call| call.name).collect();
        let (name, why) = (group.name, group.why);
        // Writing to a string can't fail.
        let _ = writeln!(page, "| **{name}** | {whose} | {why} | {} |", calls.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn all() -> impl Iterator<Item = (&'static SystemCall, Whose)> {
        let groups = ALLOWED.iter().chain(REFUSED);
        groups.flat_map(|group| group.calls.iter().map(|call| (call, group.whose)))
    }

    fn number_of(name: &str) -> Option<libc::c_long> {
        all().find(|(call, _)| call.name == name)?.0.number().map(libc::c_long::from)
    }

    #[test]
    fn every_number_is_in_one_group() {
        // 244 to 259 are an architecture's own, of which riscv64 has two.
        let unused: [Vec<u16>; 2] = [(337..=423).collect(), (244..=257).chain(295..=423).collect()];
        for (column, unused) in unused.into_iter().enumerate() {
            let numbers = all().filter_map(|(call, _)| [call.x86_64, call.generic][column]);
            let mut numbers: Vec<u16> = numbers.chain(unused).collect();
            numbers.sort_unstable();
            let known: Vec<u16> = (0..=u16::try_from(NEWEST).unwrap()).collect();
            assert_eq!(numbers, known);
        }
        let names: BTreeSet<&str> = all().map(|(call, _)| call.name).collect();
        assert_eq!(names.len(), all().count());
        assert!(REFUSED.iter().all(|group| group.whose == Whose::Nobody));
        assert!(ALLOWED.iter().all(|group| group.whose != Whose::Nobody));
    }

    /// Held against another list of the same numbers, the C library's.
    #[test]
    fn numbers_are_those_of_the_c_library() {
        macro_rules! held {
            ($($name:ident)*) => {
                $(assert_eq!(number_of(&stringify!($name)[4..]), Some(libc::$name), stringify!($name));)*
            };
        }
        held!(
            SYS_read SYS_write SYS_close SYS_fstat SYS_lseek SYS_mmap SYS_mprotect SYS_munmap SYS_brk
            SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_ioctl SYS_pread64 SYS_pwrite64
            SYS_readv SYS_writev SYS_sched_yield SYS_mremap SYS_msync SYS_mincore SYS_madvise SYS_shmget
            SYS_shmat SYS_shmctl SYS_dup SYS_nanosleep SYS_getitimer SYS_setitimer SYS_getpid SYS_sendfile
            SYS_socket SYS_connect SYS_accept SYS_sendto SYS_recvfrom SYS_sendmsg SYS_recvmsg SYS_shutdown
            SYS_bind SYS_listen SYS_getsockname SYS_getpeername SYS_socketpair SYS_setsockopt SYS_getsockopt
            SYS_clone SYS_execve SYS_exit SYS_wait4 SYS_kill SYS_uname SYS_semget SYS_semop SYS_semctl
            SYS_shmdt SYS_msgget SYS_msgsnd SYS_msgrcv SYS_msgctl SYS_fcntl SYS_flock SYS_fsync
            SYS_fdatasync SYS_truncate SYS_ftruncate SYS_getcwd SYS_chdir SYS_fchdir SYS_fchmod SYS_fchown
            SYS_umask SYS_gettimeofday SYS_getrusage SYS_sysinfo SYS_times SYS_ptrace SYS_getuid SYS_syslog
            SYS_getgid SYS_setuid SYS_setgid SYS_geteuid SYS_getegid SYS_setpgid SYS_getppid SYS_setsid
            SYS_setreuid SYS_setregid SYS_getgroups SYS_setgroups SYS_setresuid SYS_getresuid SYS_setresgid
            SYS_getresgid SYS_getpgid SYS_setfsuid SYS_setfsgid SYS_getsid SYS_capget SYS_capset
            SYS_rt_sigpending SYS_rt_sigtimedwait SYS_rt_sigqueueinfo SYS_rt_sigsuspend SYS_sigaltstack
            SYS_personality SYS_statfs SYS_fstatfs SYS_getpriority SYS_setpriority SYS_sched_setparam
            SYS_sched_getparam SYS_sched_setscheduler SYS_sched_getscheduler SYS_sched_get_priority_max
            SYS_sched_get_priority_min SYS_sched_rr_get_interval SYS_mlock SYS_munlock SYS_mlockall
            SYS_munlockall SYS_vhangup SYS_pivot_root SYS_prctl SYS_adjtimex SYS_chroot SYS_sync SYS_acct
            SYS_settimeofday SYS_mount SYS_umount2 SYS_swapon SYS_swapoff SYS_reboot SYS_sethostname
            SYS_setdomainname SYS_init_module SYS_delete_module SYS_quotactl SYS_nfsservctl SYS_gettid
            SYS_readahead SYS_setxattr SYS_lsetxattr SYS_fsetxattr SYS_getxattr SYS_lgetxattr SYS_fgetxattr
            SYS_listxattr SYS_llistxattr SYS_flistxattr SYS_removexattr SYS_lremovexattr SYS_fremovexattr
            SYS_tkill SYS_futex SYS_sched_setaffinity SYS_sched_getaffinity SYS_io_setup SYS_io_destroy
            SYS_io_getevents SYS_io_submit SYS_io_cancel SYS_lookup_dcookie SYS_remap_file_pages
            SYS_getdents64 SYS_set_tid_address SYS_restart_syscall SYS_semtimedop SYS_fadvise64
            SYS_timer_create SYS_timer_settime SYS_timer_gettime SYS_timer_getoverrun SYS_timer_delete
            SYS_clock_settime SYS_clock_gettime SYS_clock_getres SYS_clock_nanosleep SYS_exit_group
            SYS_epoll_ctl SYS_tgkill SYS_mbind SYS_set_mempolicy SYS_get_mempolicy SYS_mq_open SYS_mq_unlink
            SYS_mq_timedsend SYS_mq_timedreceive SYS_mq_notify SYS_mq_getsetattr SYS_kexec_load SYS_waitid
            SYS_add_key SYS_request_key SYS_keyctl SYS_ioprio_set SYS_ioprio_get SYS_inotify_add_watch
            SYS_inotify_rm_watch SYS_migrate_pages SYS_openat SYS_mkdirat SYS_mknodat SYS_fchownat
            SYS_newfstatat SYS_unlinkat SYS_linkat SYS_symlinkat SYS_readlinkat SYS_fchmodat SYS_faccessat
            SYS_pselect6 SYS_ppoll SYS_unshare SYS_set_robust_list SYS_get_robust_list SYS_splice SYS_tee
            SYS_vmsplice SYS_move_pages SYS_utimensat SYS_epoll_pwait SYS_timerfd_create SYS_fallocate
            SYS_timerfd_settime SYS_timerfd_gettime SYS_accept4 SYS_signalfd4 SYS_eventfd2 SYS_epoll_create1
            SYS_dup3 SYS_pipe2 SYS_inotify_init1 SYS_preadv SYS_pwritev SYS_rt_tgsigqueueinfo
            SYS_perf_event_open SYS_recvmmsg SYS_fanotify_init SYS_fanotify_mark SYS_prlimit64
            SYS_name_to_handle_at SYS_open_by_handle_at SYS_clock_adjtime SYS_syncfs SYS_sendmmsg SYS_setns
            SYS_getcpu SYS_process_vm_readv SYS_process_vm_writev SYS_kcmp SYS_finit_module
            SYS_sched_setattr SYS_sched_getattr SYS_renameat2 SYS_seccomp SYS_getrandom SYS_memfd_create
            SYS_bpf SYS_execveat SYS_userfaultfd SYS_membarrier SYS_mlock2 SYS_copy_file_range SYS_preadv2
            SYS_pwritev2 SYS_pkey_mprotect SYS_pkey_alloc SYS_pkey_free SYS_statx SYS_rseq
            SYS_pidfd_send_signal SYS_io_uring_setup SYS_io_uring_enter SYS_io_uring_register SYS_open_tree
            SYS_move_mount SYS_fsopen SYS_fsconfig SYS_fsmount SYS_fspick SYS_pidfd_open SYS_clone3
            SYS_close_range SYS_openat2 SYS_pidfd_getfd SYS_faccessat2 SYS_process_madvise SYS_epoll_pwait2
            SYS_mount_setattr SYS_landlock_create_ruleset SYS_landlock_add_rule SYS_landlock_restrict_self
            SYS_futex_waitv
        );
        #[cfg(target_arch = "x86_64")]
        held!(
            SYS_open SYS_stat SYS_lstat SYS_poll SYS_access SYS_pipe SYS_select SYS_dup2 SYS_pause SYS_alarm
            SYS_fork SYS_vfork SYS_getdents SYS_rename SYS_mkdir SYS_rmdir SYS_creat SYS_link SYS_unlink
            SYS_symlink SYS_readlink SYS_chmod SYS_chown SYS_lchown SYS_getrlimit SYS_getpgrp SYS_utime
            SYS_mknod SYS_uselib SYS_ustat SYS_sysfs SYS_modify_ldt SYS__sysctl SYS_arch_prctl SYS_setrlimit
            SYS_iopl SYS_ioperm SYS_getpmsg SYS_putpmsg SYS_afs_syscall SYS_tuxcall SYS_security SYS_time
            SYS_set_thread_area SYS_get_thread_area SYS_epoll_create SYS_epoll_ctl_old SYS_epoll_wait_old
            SYS_epoll_wait SYS_utimes SYS_vserver SYS_inotify_init SYS_futimesat SYS_renameat
            SYS_sync_file_range SYS_signalfd SYS_eventfd SYS_kexec_file_load SYS_quotactl_fd
            SYS_memfd_secret SYS_process_mrelease SYS_set_mempolicy_home_node SYS_fchmodat2 SYS_mseal
        );
    }
}
