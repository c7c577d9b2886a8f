"""Ways out of a run. Started inside of one as `ways.py SCENE`; prints a line of JSON a way: whether it got through.

Each way is tried in a process of its own. A way that raises, is killed or hangs is refused; one that returns
something true got through. What reaches somebody else without an answer is noted by the victim (victim.py).
"""
import ctypes, errno, fcntl, glob, json, mmap, os, platform, resource, shutil, signal, socket, struct, sys, time

scene = json.load(open(sys.argv[1]))
victim, home, project = scene["pid"], scene["home"], scene["project"]
dist = project + "/dist"
PARENT = os.getppid()
libc = ctypes.CDLL(None, use_errno=True)
ARM = platform.machine() == "aarch64"
# Numbers of system calls: x86_64, then aarch64; from 424 on they are the same everywhere.
NUMBERS = dict(
    ptrace=(101, 117), process_vm_readv=(310, 270), process_vm_writev=(311, 271), kcmp=(312, 272), unshare=(272, 97),
    setns=(308, 268), clone=(56, 220), mount=(165, 40), umount2=(166, 39), pivot_root=(155, 41), chroot=(161, 51),
    add_key=(248, 217), request_key=(249, 218), keyctl=(250, 219), bpf=(321, 280), perf_event_open=(298, 241),
    userfaultfd=(323, 282), name_to_handle_at=(303, 264), open_by_handle_at=(304, 265), mknodat=(259, 33),
    memfd_create=(319, 279), prlimit64=(302, 261), shmget=(29, 194), shmat=(30, 196), msgget=(68, 186),
    msgrcv=(70, 188), semget=(64, 190), semctl=(66, 191), mq_open=(240, 180), mq_receive=(243, 183),
    setpriority=(141, 140), sched_setaffinity=(203, 122), tgkill=(234, 131), rt_sigqueueinfo=(129, 138),
    fanotify_init=(300, 262), acct=(163, 89), swapon=(167, 224), syslog=(103, 116), init_module=(175, 105),
    reboot=(169, 142), sethostname=(170, 161), execveat=(322, 281), quotactl=(179, 60), ioprio_set=(251, 30),
    pidfd_send_signal=424, io_uring_setup=425, open_tree=428, move_mount=429, fsopen=430, fsconfig=431, fsmount=432,
    mbind=(237, 235), move_pages=(279, 239), migrate_pages=(256, 238), set_mempolicy=(238, 237), get_mempolicy=(239, 236),
    vmsplice=(278, 75), io_setup=(206, 0), personality=(135, 92), seccomp=(317, 277), memfd_secret=447, process_mrelease=448,
    set_mempolicy_home_node=450, cachestat=451, statmount=457, listmount=458, lsm_list_modules=461, file_getattr=468,
    file_setattr=469, pidfd_open=434, clone3=435, pidfd_getfd=438, process_madvise=440, mount_setattr=442, open_tree_attr=467,
)
WAYS = []


def way(name, *parts):
    """Registers a way; with parts, one for each."""
    def register(function):
        if parts:
            WAYS.extend((name % part[0], lambda part=part: function(*part[1:])) for part in parts)
        else:
            WAYS.append((name, function))
        return function
    return register


def call(name, *arguments):
    number = NUMBERS[name]
    number = number if isinstance(number, int) else number[ARM]
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    done = libc.syscall(ctypes.c_long(number), *wide)
    if done < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return done


def reached(name, *arguments):
    """Whether the kernel did it, or got as far as to find fault with the arguments."""
    try:
        call(name, *arguments)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES, errno.ENOSYS):
            raise
    return True


def reads(path, marker=None):
    with open(path, "rb") as file:
        found = file.read(1 << 16)
    return (marker or scene["marker"]).encode() in found


def writes(path, flags=os.O_WRONLY | os.O_CREAT):
    descriptor = os.open(path, flags, 0o600)
    os.write(descriptor, b"out\n")
    os.close(descriptor)
    return True


def made_and_removed(path):
    writes(path)
    os.unlink(path)
    return True


def connects(family, kind, address, way_name=b"", protocol=0):
    with socket.socket(family, kind, protocol) as own:
        own.settimeout(2)
        own.connect(address)
        own.sendall(b"evidence " + way_name)
        if kind == socket.SOCK_DGRAM:
            return own.recv(64) == b"heard"
        return own.recv(64) == b"heard"


# -- Other processes: what they hold.
@way("read another process's %s", ("environment", "environ"), ("memory map", "maps"), ("command's stack", "auxv"))
def _(file):
    with open(f"/proc/{victim}/{file}", "rb") as opened:
        found = opened.read(1 << 16)
    return scene["marker"].encode() in found if file == "environ" else bool(found)


@way("read another process's memory by /proc")
def _():
    with open(f"/proc/{victim}/mem", "rb", buffering=0) as memory:
        memory.seek(scene["address"])
        return memory.read(len(scene["marker"])) == scene["marker"].encode()


@way("list another process's descriptors")
def _():
    return os.listdir(f"/proc/{victim}/fd")


@way("open another process's descriptor")
def _():
    return reads(f"/proc/{victim}/fd/{scene['descriptor']}")


@way("enter another process's working directory")
def _():
    return os.listdir(f"/proc/{victim}/cwd")


@way("read below another process's root")
def _():
    return reads(f"/proc/{victim}/root{home}/notes.txt")


@way("find a value in any process's environment")
def _():
    found = False
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            found |= reads(path)
        except OSError:
            pass
    return found


@way("read the parent's environment and descriptors")
def _():
    return os.listdir(f"/proc/{PARENT}/cwd") and open(f"/proc/{PARENT}/environ", "rb").read()


@way("go by process 1's %s", ("root", "root"), ("working directory", "cwd"))
def _(link):
    return os.listdir(f"/proc/1/{link}")


@way("go by process 1's descriptors")
def _():
    return [os.readlink(f"/proc/1/fd/{name}") for name in os.listdir("/proc/1/fd")]


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


@way("process_vm_readv")
def _():
    buffer = ctypes.create_string_buffer(len(scene["marker"]))
    near, far = Iovec(ctypes.addressof(buffer), len(buffer)), Iovec(scene["address"], len(scene["marker"]))
    call("process_vm_readv", victim, ctypes.byref(near), 1, ctypes.byref(far), 1, 0)
    return buffer.raw.startswith(scene["marker"].encode()[:8])


@way("process_vm_writev")
def _():
    buffer = ctypes.create_string_buffer(b"x")
    near, far = Iovec(ctypes.addressof(buffer), 1), Iovec(scene["scratch"], 1)
    return call("process_vm_writev", victim, ctypes.byref(near), 1, ctypes.byref(far), 1, 0) == 1


@way("ptrace: %s", ("attach", 16), ("seize", 0x4206))
def _(request):
    call("ptrace", request, victim, 0, 0)
    call("ptrace", 17, victim, 0, 0) if request == 16 and os.waitpid(victim, 0x40000000) else None
    return True


@way("pidfd_getfd")
def _():
    taken = call("pidfd_getfd", call("pidfd_open", victim, 0), scene["descriptor"], 0)
    return scene["marker"].encode() in os.pread(taken, 4096, 0)


@way("kcmp")
def _():
    return call("kcmp", os.getpid(), victim, 0, 0, 0) >= 0


@way("process_madvise")
def _():
    far = Iovec(scene["scratch"] & ~4095, 4096)
    return call("process_madvise", call("pidfd_open", victim, 0), ctypes.byref(far), 1, 20, 0) >= 0


# -- Other processes: what is done to them.
@way("signal another process")
def _():
    os.kill(victim, signal.SIGURG)
    return True


@way("signal a process's thread (tgkill)")
def _():
    return call("tgkill", victim, victim, signal.SIGURG) == 0


@way("queue a signal with a value")
def _():
    info = ctypes.create_string_buffer(struct.pack("iiii", signal.SIGURG, 0, -1, 0), 128)
    return call("rt_sigqueueinfo", victim, signal.SIGURG, info) == 0


@way("signal by a descriptor of a process")
def _():
    return call("pidfd_send_signal", call("pidfd_open", victim, 0), signal.SIGURG, 0, 0) == 0


@way("signal every process")
def _():
    if not scene["contained"]:
        raise OSError(errno.ENOTSUP, "not tried on the machine itself")
    signal.signal(signal.SIGURG, signal.SIG_IGN)
    os.kill(-1, signal.SIGURG)


@way("signal process 1")
def _():
    os.kill(1, signal.SIGURG)
    return True


@way("signal whoever started the run")
def _():
    os.kill(scene["driver"], signal.SIGURG)
    return True


@way("have a descriptor signal another process (F_SETOWN)")
def _():
    reader, writer = os.pipe()
    fcntl.fcntl(reader, 10, signal.SIGURG)
    fcntl.fcntl(reader, fcntl.F_SETOWN, victim)
    fcntl.fcntl(reader, fcntl.F_SETFL, fcntl.fcntl(reader, fcntl.F_GETFL) | os.O_ASYNC)
    before = scene["signals"] and os.stat(scene["signals"]).st_size
    os.write(writer, b"x")
    time.sleep(0.2)
    return os.stat(scene["signals"]).st_size > before


@way("change another process's limits")
def _():
    old = ctypes.create_string_buffer(16)
    call("prlimit64", victim, 4, 0, old)
    return call("prlimit64", victim, 4, old, 0) == 0


@way("change another process's processors")
def _():
    return call("sched_setaffinity", victim, 8, ctypes.byref(ctypes.c_ulong((1 << os.cpu_count()) - 1))) == 0


@way("change another process's priority")
def _():
    return call("setpriority", 0, victim, 5) == 0


@way("change another process's input and output priority")
def _():
    return call("ioprio_set", 1, victim, (2 << 13) | 7) == 0


@way("write to another process's /proc files")
def _():
    return writes(f"/proc/{victim}/oom_score_adj", os.O_WRONLY)


# -- The vault and the daemon.
@way("list the vault's home")
def _():
    return os.listdir(scene["vault"])


@way("read a file of the vault")
def _():
    return any(open(path, "rb").read(16) for path in scene["vault_files"])


@way("read the identity, outside of the home")
def _():
    return reads(scene["identity"], "AGE-SECRET-KEY")


@way("read the token of a session")
def _():
    return open(scene["token"], "rb").read()


@way("write into the vault's home")
def _():
    return made_and_removed(scene["vault"] + "/x")


@way("connect to the daemon's socket")
def _():
    with socket.socket(socket.AF_UNIX) as own:
        own.connect(scene["daemon"])
        return True


# -- Files that are somebody's.
@way("read %s", *[(path, path) for path in scene["credentials"]])
def _(path):
    return reads(f"{home}/{path}")


@way("list ~/.ssh")
def _():
    return os.listdir(home + "/.ssh")


@way("read a client's configuration in the project: %s", *[(path, path) for path in scene["in_project"]])
def _(path):
    return reads(f"{project}/{path}")


@way("read a credential that appears during the run")
def _():
    until = time.time() + 2
    while time.time() < until:
        try:
            if reads(home + "/.pgpass"):
                return True
        except OSError:
            pass
        time.sleep(0.02)


@way("read a hidden file that is put in place anew during the run")
def _():
    until = time.time() + 2
    while time.time() < until:
        try:
            if reads(home + "/.git-credentials"):
                return True
        except OSError:
            pass
        time.sleep(0.02)


if not scene["home_is_shown"]:
    @way("read another file of the home")
    def _():
        return reads(home + "/notes.txt")

    @way("read another project")
    def _():
        return reads(home + "/other/secret.txt")


@way("tell which machine this is: %s", *[(path, path) for path in (
    "/proc/sys/kernel/random/boot_id", "/proc/cmdline", "/proc/config.gz")])
def _(path):
    with open(path, "rb") as opened:
        return opened.read(64)


@way("read a file in the machine's /tmp")
def _():
    return reads(scene["in_tmp"])


@way("read a file in the machine's /dev/shm")
def _():
    return reads(scene["in_shm"])


@way("read %s", ("/etc/shadow", "/etc/shadow"), ("the machine's SSH key", "/etc/ssh/ssh_host_*_key"))
def _(path):
    return any(open(found, "rb").read(16) for found in glob.glob(path))


if scene["roots_own"]:
    @way("read a file of /etc that only root reads")
    def _():
        return reads(scene["roots_own"])


# With filters alone a run reads the machine's own files, and meets their locks: that is said.
if not scene["contained"] or scene["namespaces"]:
    @way("meet a lock of somebody outside: %s", ("flock, the project", fcntl.flock, project + "/locked"),
         ("fcntl, the project", fcntl.lockf, project + "/locked"), ("flock, the system", fcntl.flock, "/usr/bin/env"))
    def _(lock, path):
        with open(path) as opened:
            try:
                lock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True

    @way("be told of what others write in the project (inotify)")
    def _():
        notices = libc.inotify_init1(os.O_NONBLOCK)
        if libc.inotify_add_watch(notices, project.encode(), 0x2) < 0:
            raise OSError(ctypes.get_errno(), "no watch")
        time.sleep(1)
        return os.read(notices, 4096)


@way("read a disk")
def _():
    disks = [line.split()[3] for line in open("/proc/partitions").read().splitlines()[2:]]
    return any(open(f"/dev/{disk}", "rb").read(16) for disk in disks)


@way("read the kernel's memory: %s", ("/proc/kcore", "/proc/kcore"), ("/dev/mem", "/dev/mem"), ("/dev/kmsg", "/dev/kmsg"))
def _(path):
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    return True


@way("write to %s", ("the working directory", project + "/new"), ("the home", home + "/new"), ("/etc", "/etc/authy-escape"),
     ("/usr", "/usr/authy-escape"), ("/", "/authy-escape"), ("/opt", "/opt/authy-escape"))
def _(path):
    return made_and_removed(path)


@way("leave a file in the machine's %s", ("/dev/shm", "/dev/shm"), ("/tmp", "/tmp"))
def _(directory):
    writes(f"{directory}/{scene['left']}")


@way("change a file of the project")
def _():
    return writes(project + "/src.txt", os.O_WRONLY | os.O_APPEND)


@way("truncate a file of the project")
def _():
    os.truncate(project + "/empty.txt", 0)
    return True


@way("remove a file of the project")
def _():
    os.rename(project + "/src.txt", project + "/src2.txt")
    os.rename(project + "/src2.txt", project + "/src.txt")
    return True


@way("change the %s of a file of the project", ("mode", os.chmod, 0o600), ("owner", os.chown, -1, os.getgid()),
     ("times", os.utime, (1, 1)), ("attributes", os.setxattr, "user.x", b"out"))
def _(change, *arguments):
    change(project + "/src.txt", *arguments)
    return True


@way("change a file of the project by a descriptor that reads: %s", ("mode", os.fchmod, 0o600), ("times", os.utime, (1, 1)))
def _(change, *arguments):
    with open(project + "/src.txt", "rb") as file:
        change(file.fileno(), *arguments)
    return True


# -- Tricks with what may be written.
def fresh(name):
    path = f"{dist}/{name}"
    if os.path.lexists(path):
        os.unlink(path)
    return path


@way("hold up those who write a file of the project: %s", ("lease", 1024, 0), ("delegation", 1040, 0))
def _(command, argument):
    opened = os.open(project + "/src.txt", os.O_RDONLY)
    return fcntl.fcntl(opened, command, argument) == 0


@way("be told of changes in a directory (F_NOTIFY)")
def _():
    return fcntl.fcntl(os.open(project, os.O_RDONLY), 1026, 2) == 0


@way("write through a symbolic link in a written place")
def _():
    link = fresh("link")
    os.symlink(project + "/src.txt", link)
    return writes(link, os.O_WRONLY | os.O_APPEND)


@way("read through a symbolic link in a written place")
def _():
    link = fresh("link2")
    os.symlink(home + "/.ssh/id_ed25519", link)
    return reads(link)


@way("hard-link a file of the project into a written place")
def _():
    os.link(project + "/src.txt", fresh("hard"))
    return writes(dist + "/hard", os.O_WRONLY | os.O_APPEND)


@way("hard-link a file out of a written place")
def _():
    writes(fresh("mine"))
    os.link(dist + "/mine", project + "/mine")
    os.unlink(project + "/mine")
    return True


@way("rename a file out of a written place")
def _():
    writes(fresh("mine2"))
    os.rename(dist + "/mine2", project + "/mine2")
    os.unlink(project + "/mine2")
    return True


@way("rename a written place itself")
def _():
    os.rename(dist, project + "/dist2")
    os.rename(project + "/dist2", dist)
    return True


@way("exchange a written place for another")
def _():
    if libc.renameat2(-100, dist.encode(), -100, (project + "/sub").encode(), 2) != 0:
        raise OSError(ctypes.get_errno(), "exchange")
    libc.renameat2(-100, dist.encode(), -100, (project + "/sub").encode(), 2)
    return True


@way("climb above a written place by ..")
def _():
    return reads(dist + "/../../../.ssh/id_ed25519")


@way("climb out by a descriptor of a directory")
def _():
    descriptor = os.open(dist, os.O_RDONLY)
    for _ in range(32):
        descriptor = os.open("..", os.O_RDONLY, dir_fd=descriptor)
    below = os.open(home.lstrip("/") + "/.ssh/id_ed25519", os.O_RDONLY, dir_fd=descriptor)
    return scene["marker"].encode() in os.read(below, 4096)


@way("use a descriptor that was left open")
def _():
    for descriptor in range(3, 1024):
        try:
            if scene["marker"].encode() in os.pread(descriptor, 4096, 0):
                return True
        except OSError:
            pass


@way("list a directory that was left open")
def _():
    for descriptor in range(3, 1024):
        try:
            if "id_ed25519" in os.listdir(descriptor):
                return True
        except OSError:
            pass


@way("take a standard stream's other end")
def _():
    for name in ("0", "1", "2"):
        os.close(os.open(f"/proc/self/fd/{name}/..", os.O_RDONLY))
        return True


@way("make a device")
def _():
    call("mknodat", -100, fresh("mem").encode(), 0o20600, 0x101)
    return open(dist + "/mem", "rb")


@way("give a file capabilities")
def _():
    writes(fresh("capable"))
    os.setxattr(dist + "/capable", "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 21, 0, 0, 0))
    return True


@way("become another user by a setuid program")
def _():
    return libc.prctl(39, 0, 0, 0, 0) == 0


@way("become another user by setuid")
def _():
    os.setuid(47002 if os.getuid() != 47002 else 47003)
    return True


@way("run code from memory, and read the victim by it")
def _():
    descriptor = call("memfd_create", b"code", 0)
    os.write(descriptor, b"#!/bin/sh\nexec cat /proc/%d/environ\n" % victim)
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.dup2(writer, 1)
        os.execve(descriptor, ["code"], {})
    os.close(writer)
    return scene["marker"].encode() in os.read(reader, 65536)


@way("leave a core behind")
def _():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return True


@way("outlive the run (setsid, two forks)")
def _():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for descriptor in range(3):
                os.close(descriptor)
            os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(30)", scene["outlives"]])
        os._exit(0)
    os.wait()


# -- The kernel's machinery.
CLONE = dict(mount=0x20000, cgroup=0x2000000, uts=0x4000000, ipc=0x8000000, user=0x10000000, pid=0x20000000, net=0x40000000)
KINDS = [(kind, flag) for kind, flag in CLONE.items()]


@way("a new %s namespace by unshare", *KINDS)
def _(flag):
    return call("unshare", flag) == 0


@way("a new %s namespace by clone", *KINDS)
def _(flag):
    child = call("clone", flag | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    return child > 0


@way("a new user namespace by clone3")
def _():
    arguments = ctypes.create_string_buffer(struct.pack("QQQQQQQQ", CLONE["user"], 0, 0, 0, signal.SIGCHLD, 0, 0, 0))
    child = call("clone3", arguments, 64)
    if child == 0:
        os._exit(0)
    return child > 0


@way("enter another process's namespace")
def _():
    return call("setns", os.open(f"/proc/{victim}/ns/uts", os.O_RDONLY), 0) == 0


@way("enter another process's namespace by its descriptor")
def _():
    return call("setns", call("pidfd_open", victim, 0), CLONE["uts"]) == 0


@way("chroot")
def _():
    return call("chroot", b"/") == 0


@way("mount a file system")
def _():
    call("mount", b"tmpfs", dist.encode(), b"tmpfs", 0, 0)
    return call("umount2", dist.encode(), 2) == 0


@way("mount over what is hidden")
def _():
    call("mount", b"/usr", (home + "/.ssh").encode(), 0, 0x1000, 0)
    return call("umount2", (home + "/.ssh").encode(), 2) == 0


@way("take a mount away")
def _():
    return reached("umount2", (project + "/sub").encode(), 8)


@way("make what is read-only writable")
def _():
    return reached("mount", 0, (project + "/nowhere").encode(), 0, 0x1020, 0)


@way("pivot_root")
def _():
    return reached("pivot_root", b"/nowhere", b"/nowhere")


@way("the new interface of mounts: %s", ("fsopen", "fsopen", b"tmpfs", 0), ("open_tree", "open_tree", -100, b"/", 1),
     ("move_mount", "move_mount", -100, b"/nowhere", -100, b"/nowhere", 0), ("fsmount", "fsmount", -1, 0, 0),
     ("fsconfig", "fsconfig", -1, 6, 0, 0, 0))
def _(name, *arguments):
    return reached(name, *arguments)


@way("clear a mount's read-only flag")
def _():
    change = ctypes.create_string_buffer(struct.pack("QQQQ", 0, 1, 0, 0))
    return reached("mount_setattr", -100, (project + "/nowhere").encode(), 0, change, 32)


@way("clone a mount with other flags (open_tree_attr)")
def _():
    change = ctypes.create_string_buffer(struct.pack("QQQQ", 0, 1, 0, 0))
    return call("open_tree_attr", -100, b"/", 1, change, 32) >= 0


@way("open a file by its handle")
def _():
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0), 136)
    mount = ctypes.c_int()
    call("name_to_handle_at", -100, project.encode(), handle, ctypes.byref(mount), 0)
    return call("open_by_handle_at", os.open(project, os.O_RDONLY), handle, 0) >= 0


@way("the kernel's keys: %s", ("add_key", "add_key", b"user", b"escape", b"x", 1, -1), ("keyctl", "keyctl", 0, -3, 0, 0, 0),
     ("request_key", "request_key", b"user", b"none", 0, 0))
def _(name, *arguments):
    return reached(name, *arguments)


@way("io_uring")
def _():
    return call("io_uring_setup", 4, ctypes.create_string_buffer(120)) >= 0


@way("bpf")
def _():
    attributes = ctypes.create_string_buffer(struct.pack("IIII", 2, 4, 8, 1), 128)
    return call("bpf", 0, attributes, 128) >= 0


@way("perf_event_open")
def _():
    attributes = ctypes.create_string_buffer(struct.pack("IIQ", 1, 112, 0), 112)
    attributes[40] = 0x63
    return call("perf_event_open", attributes, victim, -1, -1, 0) >= 0


@way("userfaultfd")
def _():
    return call("userfaultfd", 1) >= 0


@way("fanotify")
def _():
    return call("fanotify_init", 0x200, 0) >= 0


@way("the list of mounts by %s", ("listmount", "listmount", struct.pack("IIQQ", 24, 0, 2**64 - 1, 0), ctypes.create_string_buffer(4096), 8, 0),
     ("statmount", "statmount", struct.pack("IIQQ", 24, 0, 1, 2), ctypes.create_string_buffer(4096), 4096, 0))
def _(name, *arguments):
    return reached(name, *arguments)


@way("memory that nobody can look at (memfd_secret)")
def _():
    return reached("memfd_secret", 0)


@way("where memory is: %s", ("mbind", "mbind", 0, 0, 0, 0, 0, 0), ("move_pages", "move_pages", 0, 0, 0, 0, 0, 0),
     ("migrate_pages", "migrate_pages", 0, 0, 0, 0), ("set_mempolicy", "set_mempolicy", 0, 0, 0), ("get_mempolicy", "get_mempolicy", 0, 0, 0, 0, 0),
     ("set_mempolicy_home_node", "set_mempolicy_home_node", 0, 0, 0, 0))
def _(name, *arguments):
    return reached(name, *arguments)


@way("a call that no run needs: %s", ("vmsplice", "vmsplice", -1, 0, 0, 0), ("process_mrelease", "process_mrelease", -1, 0), ("cachestat", "cachestat", -1, 0, 0, 0),
     ("lsm_list_modules", "lsm_list_modules", ctypes.create_string_buffer(256), ctypes.byref(ctypes.c_uint(256)), 0),
     ("file_getattr", "file_getattr", -100, b"/", ctypes.create_string_buffer(64), 24, 0),
     ("file_setattr", "file_setattr", -100, b"/nowhere", ctypes.create_string_buffer(64), 24, 0),
     ("io_setup", "io_setup", 1, ctypes.byref(ctypes.c_ulong(0))))
def _(name, *arguments):
    return reached(name, *arguments)


@way("another personality: %s", ("no random addresses", 0x0040000), ("what is readable runs", 0x0400000))
def _(persona):
    return call("personality", persona) >= 0


@way("listen to system calls (seccomp)")
def _():
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
    libc.prctl(38, 1, 0, 0, 0)
    allow = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7fff0000))
    return call("seccomp", 1, 8, ctypes.byref(Program(1, ctypes.addressof(allow)))) >= 0


@way("a number above all that are known")
def _():
    NUMBERS["later"] = 470
    return reached("later", 0, 0, 0, 0)


@way("what only root does: %s", ("acct", "acct", b"/nowhere"), ("swapon", "swapon", b"/nowhere", 0),
     ("init_module", "init_module", 0, 0, b""), ("reboot", "reboot", 0, 0, 0, 0), ("quotactl", "quotactl", 0x80000100, b"/nowhere", 0, 0),
     ("read the kernel's log", "syslog", 3, ctypes.create_string_buffer(64), 64),
     ("name the machine", "sethostname", os.uname().nodename.encode(), len(os.uname().nodename)))
def _(name, *arguments):
    return reached(name, *arguments)


@way("open for writing: %s", *[(path, path) for path in (
    "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/sys/power/state",
    "/sys/kernel/mm/ksm/run", "/proc/fs/nfsd/threads", "/proc/irq/default_smp_affinity")])
def _(path):
    os.close(os.open(path, os.O_WRONLY))
    return True


@way("read the machine's /sys")
def _():
    return os.listdir("/sys/class/net") or os.listdir("/sys/firmware")


@way("characters into a terminal's input (TIOCSTI)")
def _():
    _, terminal = os.openpty()
    fcntl.ioctl(terminal, 0x5412, b"x")
    return True


@way("system calls of 32 bits")
def _():
    if ARM:
        raise OSError(errno.ENOSYS, "none on this machine")
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(bytes([0xB8, 20, 0, 0, 0, 0xCD, 0x80, 0xC3]))
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    return function() > 0


@way("system calls under x32 numbers: %s", ("getpid", 39), ("ptrace", 521))
def _(number):
    done = libc.syscall(ctypes.c_long(0x40000000 + number), 0, 0, 0, 0)
    if done < 0:
        raise OSError(ctypes.get_errno(), "x32")
    return True


# -- Things that processes share by name.
@way("System V shared memory")
def _():
    number = call("shmget", scene["shm"], 0, 0)
    libc.shmat.restype = ctypes.c_void_p
    at = libc.shmat(number, None, 0o10000)
    return ctypes.string_at(at, len(scene["marker"])) == scene["marker"].encode()


@way("System V messages")
def _():
    buffer = ctypes.create_string_buffer(256)
    queue = call("msgget", scene["msg"], 0)
    return call("msgrcv", queue, buffer, 200, 0, 0o4000 | 0o40000) > 0


@way("System V semaphores")
def _():
    return call("semctl", call("semget", scene["sem"], 0, 0), 0, 12, 0) >= 0


@way("POSIX message queues")
def _():
    return call("mq_open", scene["mq"].encode(), os.O_RDONLY | os.O_NONBLOCK, 0, 0) >= 0


# -- The network.
@way("TCP to %s", *[(address, socket.AF_INET6 if ":" in address else socket.AF_INET, address) for address in scene["addresses"]])
def _(family, address):
    return connects(family, socket.SOCK_STREAM, (address, scene["tcp"]))


@way("UDP to %s", *[(address, socket.AF_INET6 if ":" in address else socket.AF_INET, address) for address in scene["addresses"]])
def _(family, address):
    return connects(family, socket.SOCK_DGRAM, (address, scene["udp"]))


@way("multipath TCP")
def _():
    return connects(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", scene["tcp"]), protocol=262)


@way("TCP without connect (fast open)")
def _():
    with socket.socket(socket.AF_INET) as own:
        own.settimeout(2)
        own.sendto(b"evidence", 0x20000000, ("127.0.0.1", scene["tcp"]))
        return own.recv(64) == b"heard"


@way("the name server")
def _():
    servers = [line.split()[1] for line in open("/etc/resolv.conf") if line.startswith("nameserver")]
    question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01"
    for server in servers:
        with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.settimeout(2)
            own.sendto(question, (server, 53))
            return own.recv(512)


@way("a socket of family %s", ("AF_PACKET", 17, socket.SOCK_DGRAM, 0), ("AF_VSOCK", 40, socket.SOCK_STREAM, 0),
     ("AF_ALG", 38, socket.SOCK_SEQPACKET, 0), ("AF_INET, raw", 2, socket.SOCK_RAW, 1), ("AF_INET6, raw", 10, socket.SOCK_RAW, 58),
     ("AF_KEY", 15, socket.SOCK_RAW, 2), ("AF_XDP", 44, socket.SOCK_RAW, 0), ("AF_TIPC", 30, socket.SOCK_RDM, 0))
def _(family, kind, protocol):
    with socket.socket(family, kind, protocol):
        return True


@way("a protocol of the internet: %s", ("UDP-Lite", socket.SOCK_DGRAM, 136), ("SCTP", socket.SOCK_STREAM, 132), ("DCCP", 6, 33))
def _(kind, protocol):
    socket.socket(socket.AF_INET, kind, protocol)
    return True


@way("netlink: %s", ("sock_diag", 4), ("xfrm", 6), ("audit", 9), ("connector", 11), ("netfilter", 12), ("uevent", 15), ("generic", 16))
def _(protocol):
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    return True


@way("the machine's addresses by netlink")
def _():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as own:
        own.settimeout(2)
        own.send(struct.pack("IHHIIBxxxI", 24, 22, 0x301, 1, 0, 0, 0))
        said = own.recv(65536)
        return any(socket.inet_aton(a) in said for a in scene["addresses"] if ":" not in a and a != "127.0.0.1")


@way("a Unix socket: %s", *[(name, path) for name, path in scene["sockets"].items()])
def _(path):
    return connects(socket.AF_UNIX, socket.SOCK_STREAM, path.replace("@", "\0") if path.startswith("@") else path)


@way("a Unix datagram: %s", *[(name, path) for name, path in scene["datagrams"].items()])
def _(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.sendto(b"evidence", path.replace("@", "\0") if path.startswith("@") else path)
        return True


@way("a Unix datagram by a socket of a pair: %s", *[(name, path) for name, path in scene["datagrams"].items()])
def _(path):
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendto(b"evidence", path.replace("@", "\0") if path.startswith("@") else path)
    return True


@way("a named pipe that somebody reads")
def _():
    return writes(project + "/pipe", os.O_WRONLY | os.O_NONBLOCK)


# -- What is left to be run by others. Whether it got through is seen afterwards.
@way("leave to be run later: %s", *[(name, path, how) for name, path, how, _ in scene["control"]])
def _(path, how):
    path, other = f"{dist}/{path}", f"{dist}/.other"
    directory = os.path.dirname(path)
    if how.startswith("exchange"):
        # As it was, and then another one with the same in it.
        moved = directory
        for _ in range({"exchange": 1, "exchange above": 2, "exchange directory": 0}[how]):
            moved = os.path.dirname(moved)
        aside = moved + ".aside"
        os.rename(moved, aside)
        shutil.copytree(aside, moved, symlinks=True)
    os.makedirs(directory, exist_ok=True)
    if how == "rename":
        with open(other, "w") as opened:
            opened.write("evil")
        os.rename(other, path)
    elif how == "link":
        with open(directory + "/evil", "w") as opened:
            opened.write("evil")
        os.symlink("evil", path)
    elif how == "configure":
        with open(path, "a") as opened:
            opened.write("[core]\n\tfsmonitor = evil\n")
    else:
        with open(path, "w") as opened:
            opened.write("#!/bin/sh\nevil")
    return False


def attempt(function):
    """Whether it got through, and what it said; from a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        signal.alarm(8)
        try:
            got = function()
            answer = {"got": bool(got), "said": "it worked" if got else "nothing came of it"}
        except OSError as error:
            answer = {"got": False, "said": errno.errorcode.get(error.errno, str(error)) if error.errno else str(error)}
        except BaseException as error:
            answer = {"got": False, "said": f"{type(error).__name__} {error}"}
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    said = os.read(reader, 4096)
    _, status = os.waitpid(child, 0)
    os.close(reader)
    if said:
        return json.loads(said)
    return {"got": False, "said": f"ended by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "ended"}


for number, (name, function) in enumerate(WAYS):
    print(json.dumps([name, attempt(function)]), flush=True)
