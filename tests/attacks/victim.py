"""Somebody else's process, of the same user as a run: what ways.py goes for. `victim.py SCENE EVIDENCE`."""
import ctypes, json, os, select, signal, socket, sys

scene = json.load(open(sys.argv[1]))
evidence = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
libc = ctypes.CDLL(None, use_errno=True)
marker = scene["marker"].encode()


def note(what):
    os.write(evidence, what.encode() + b"\n")


signal.signal(signal.SIGURG, lambda *_: note("signal"))
held = ctypes.create_string_buffer(marker)
scratch = ctypes.create_string_buffer(8192 * 2)
file = os.open(scene["dir"] + "/held", os.O_RDWR | os.O_CREAT, 0o600)
os.write(file, marker)
os.unlink(scene["dir"] + "/held")

key = 0x41000000 | (os.getpid() & 0xFFFFFF)
shm = libc.shmget(key, 4096, 0o1600)
libc.shmat.restype = ctypes.c_void_p
ctypes.memmove(libc.shmat(shm, None, 0), marker, len(marker))
msg = libc.msgget(key, 0o1600)
libc.msgsnd(msg, (8).to_bytes(8, "little") + marker, len(marker), 0)
sem = libc.semget(key, 1, 0o1600)
mq = scene["mq"]
libc.syscall(180 if os.uname().machine == "aarch64" else 240, mq.encode(), os.O_RDWR | os.O_CREAT, 0o600, 0)

listening, datagram = [], []
streams = [(socket.SOCK_STREAM, *item) for item in scene["sockets"].items()]
for kind, name, path in streams + [(socket.SOCK_DGRAM, *item) for item in scene["datagrams"].items()]:
    own = socket.socket(socket.AF_UNIX, kind)
    own.bind("\0" + path[1:] if path.startswith("@") else path)
    (listening if kind == socket.SOCK_STREAM else datagram).append((name, own))
tcp = socket.socket(socket.AF_INET6)
tcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
tcp.bind(("::", 0))
listening.append(("tcp", tcp))
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
udp.bind(("::", 0))
datagram.append(("udp", udp))
for _, own in listening:
    own.listen(64)
pipe = os.open(scene["project"] + "/pipe", os.O_RDONLY | os.O_NONBLOCK)
os.chdir(scene["dir"])

print(json.dumps(dict(
    pid=os.getpid(), address=ctypes.addressof(held), scratch=(ctypes.addressof(scratch) + 8191) & ~4095, descriptor=file,
    shm=key, msg=key, sem=key, tcp=tcp.getsockname()[1], udp=udp.getsockname()[1])), flush=True)

open_, names = {}, {own.fileno(): (name, own) for name, own in datagram}
while os.getppid() != 1 and not os.path.exists(scene["dir"] + "/done"):
    waiting = [own for _, own in listening] + [own for _, own in datagram] + list(open_) + [pipe]
    ready, _, _ = select.select(waiting, [], [], 0.2)
    for own in ready:
        if own == pipe:
            if os.read(pipe, 4096):
                note("pipe")
            continue
        name = next((name for name, other in listening if other is own), None)
        try:
            if name:
                accepted, _ = own.accept()
                open_[accepted] = name
                note(f"connected {name}")
            elif own in open_:
                said = own.recv(4096)
                if said:
                    own.sendall(b"heard")
                else:
                    own.close()
                    del open_[own]
            else:
                _, sender = own.recvfrom(4096)
                note(f"datagram {names[own.fileno()][0]}")
                if isinstance(sender, tuple):
                    own.sendto(b"heard", sender)
        except OSError:
            open_.pop(own, None)
libc.shmctl(shm, 0, None)
libc.msgctl(msg, 0, None)
libc.semctl(sem, 0, 0, 0)
libc.mq_unlink(mq.encode())
