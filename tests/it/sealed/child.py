"""A program that an agent chose: reads whatever it can reach, asks the host to say everything again, and looks
for the value. It is told the value backwards, so that nobody has to hand it over to be looked for."""

import base64, gzip, os, re, socket, ssl, sys, urllib.parse, urllib.request, zlib

backwards, host = sys.argv[1], sys.argv[2]
value = backwards[::-1].encode()
name = next(n for n, v in os.environ.items() if n == "OPENAI_KEY")
placeholder = os.environ[name]
seen = 0
found = []


def forms():
    yield "raw", value
    yield "hex", value.hex().encode()
    yield "HEX", value.hex().upper().encode()
    yield "backwards", backwards.encode()
    yield "percent", urllib.parse.quote(value, safe="").encode()
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + value)
        yield "base64", encoded[4 if shift else 0 : -4]


WANTED = list(forms())


def look(where, data):
    global seen
    seen += len(data)
    for kind, form in WANTED:
        if kind == "backwards" and where.endswith("cmdline"):
            continue
        if form in data:
            found.append(f"{kind} in {where}")
    for packed in (b"\x1f\x8b\x08",):
        at = data.find(packed)
        if at >= 0:
            try:
                more = zlib.decompressobj(31).decompress(data[at:], 1 << 20)
                if value in more:
                    found.append(f"compressed in {where}")
            except zlib.error:
                pass


def read(path, limit=1 << 20):
    try:
        with open(path, "rb") as file:
            look(path, file.read(limit))
    except OSError:
        pass


# 1. Everything of its own, and of every process that it can see.
look("environment", "\n".join(f"{n}={v}" for n, v in os.environ.items()).encode())
for pid in filter(str.isdigit, os.listdir("/proc")):
    for part in ("environ", "cmdline", "maps", "mountinfo", "status", "stat", "auxv"):
        read(f"/proc/{pid}/{part}")
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
            look(f"/proc/{pid}/fd/{fd}", target.encode())
            if target.startswith("/"):
                read(f"/proc/{pid}/fd/{fd}")
    except OSError:
        pass
    if int(pid) != os.getpid():
        try:
            areas = [line.split()[0] for line in open(f"/proc/{pid}/maps") if " r" in line]
            with open(f"/proc/{pid}/mem", "rb", 0) as memory:
                for area in areas:
                    start, end = (int(x, 16) for x in area.split("-"))
                    try:
                        memory.seek(start)
                        look(f"memory of {pid}", memory.read(min(end - start, 16 << 20)))
                    except (OSError, ValueError, OverflowError):
                        pass
        except OSError:
            pass
# 2. Every file that is not the system's.
for root in ("/run", "/tmp", "/home", "/root", "/dev/shm", "/var", "/etc", "/work"):
    for folder, _, files in os.walk(root):
        for file in files:
            path = os.path.join(folder, file)
            if os.path.isfile(path) and os.path.getsize(path) < 1 << 20:
                read(path)

# 3. The host, which says everything again.
proxy = urllib.parse.urlparse(os.environ["https_proxy"])
credential = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])


def tunnel(to):
    sock = socket.create_connection((proxy.hostname, proxy.port), 20)
    sock.sendall(f"CONNECT {to} HTTP/1.1\r\nHost: {to}\r\nProxy-Authorization: Basic {credential}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte:
            break
        head += byte
    look("tunnel", head)
    return sock if head.startswith(b"HTTP/1.1 200") else None


def ask(request):
    sock = tunnel(host)
    stream = context.wrap_socket(sock, server_hostname=host.split(":")[0])
    stream.sendall(request)
    answer = b""
    try:
        while chunk := stream.recv(65536):
            answer += chunk
    except OSError:
        pass
    body = answer.partition(b"\r\n\r\n")[2]
    whole = re.sub(rb"\r\n[0-9a-f]+\r\n", b"", body)
    look("answer", answer)
    look("answer put together", whole)
    return answer


answers = 0
for query in ("plain", "coding=gzip", "coding=br", "coding=deflate", "coding=zstd", "step=1", "status=500&reason"):
    for header in ("", f"X-Token: {placeholder}\r\n"):
        got = ask(f"GET /{query}?{query} HTTP/1.1\r\nHost: {host}\r\n{header}TE: trailers\r\nConnection: close\r\n\r\n".encode())
        answers += got.startswith(b"HTTP/1.1 ") and b"x-echo-0" in got
for request in (
    f"GET /?k={placeholder} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: elsewhere.example\r\nConnection: close\r\n\r\n",
    f"TRACE / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
    f"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
):
    ask(request.encode())

# 4. Anything but the proxy, which is at the host's own address, too.
reached = []
where, port = host.split(":")
for family, address in ((socket.AF_INET, "127.0.0.2"), (socket.AF_INET6, "::1"), (socket.AF_INET, "1.1.1.1"), (socket.AF_INET6, "2606:4700:4700::1111")):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            sock = socket.socket(family, kind)
            sock.settimeout(2)
            to = int(port) if address in ("127.0.0.2", "::1") else 53
            sock.connect((address, to))
            sock.send(b"\0" * 12)
            sock.recv(1)
            reached.append(f"{address}:{to} {kind.name}")
        except OSError:
            pass
for name in ("example.com", "localhost.example.com"):
    try:
        reached.append(str(socket.getaddrinfo(name, 443)))
    except OSError:
        pass
for other in ("example.com:443", "127.0.0.1:22", f"127.0.0.1:{port}", "[::1]:443", "169.254.169.254:80"):
    if tunnel(other):
        reached.append(f"tunnel to {other}")

print(f"looked at {'enough' if seen > 100_000 else seen} bytes, {answers} answers")
print("reached:", *reached)
print("found:", *found)
