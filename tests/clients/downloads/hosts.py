"""A host that wants a bearer and serves what people download: 200 files of all kinds, a git repository, an npm registry, a
pip index and, on a second port, gRPC. Many of the files hold URLs with passwords in them, none of them the key.
Arguments: a folder with cert.pem, key.pem and repo.git; where to write the ports; where to write the digests."""

import base64, gzip, hashlib, io, json, os, random, sqlite3, struct, sys, tarfile, urllib.parse, zipfile, zlib
from concurrent import futures

import grpc

import other_side

folder, port_file, digest_file = sys.argv[1:4]
KEY = "sk-proj-9fQ2xLw7Vb4NcT8mZr1KpY6hJd3GsA5e"
README = """# dev
postgres://dev:hunter2pass@localhost:5432/dev
redis://:s3cr3tpassw0rd@cache.internal:6379/0
git+https://someone:ghp_0123456789abcdefghijABCDEFGHIJ456789@github.com/a/b.git#v1.2.3
docker-image://alpine:3.20@sha256:0000000000000000000000000000000000000000000000000000000000000000
"""
LOCK = json.dumps({"packages": {f"node_modules/p{n}": {
    "version": f"1.{n}.0", "resolved": f"https://user:token{n}@registry.example/p{n}/-/p{n}-1.{n}.0.tgz",
    "integrity": "sha512-" + base64.b64encode(hashlib.sha512(bytes([n])).digest()).decode()} for n in range(200)}}, indent=2)
rng = random.Random(20)


def tarred(names, mode="w"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for name, data in names.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zipped(names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in names.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return out.getvalue()


def png():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + rng.randbytes(3 * 64) for _ in range(64))
    text = b"Source\0" + README.encode()
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)) + chunk(b"tEXt", text)
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def message(number):
    """A protobuf message: fields 1 (varint) and 2 (a string that is a URL)."""
    url = f"https://user{number}:password{number}@db.example/{number}".encode()
    return b"\x08" + bytes([number % 128]) + b"\x12" + bytes([len(url)]) + url


def database():
    path = os.path.join(folder, "a.sqlite")
    with sqlite3.connect(path) as db:
        db.execute("create table if not exists sources (url text)")
        db.executemany("insert into sources values (?)", [(line,) for line in README.splitlines()])
    return open(path, "rb").read()


def made(kind, number):
    """A file, its type and what else its answer says."""
    noise, readme = rng.randbytes(rng.randrange(1, 90_000)), (README * (number + 1)).encode()
    names = {"README.md": readme, "noise.bin": noise, "package-lock.json": LOCK.encode()}
    if kind == "bin":
        return noise + readme + noise, "application/octet-stream", {}
    if kind == "md":
        return readme, "text/markdown; charset=utf-8", {}
    if kind == "lock":
        return LOCK.encode(), "application/json", {}
    if kind == "tar":
        return tarred(names), "application/x-tar", {}
    if kind == "tgz":
        # As some servers have it: a coding that nobody asked for, of which the file is what comes.
        return tarred(names, "w:gz"), "application/x-tar", {"Content-Encoding": "gzip"}
    if kind == "zip":
        return zipped(names), "application/zip", {}
    if kind == "png":
        return png(), "image/png", {}
    if kind == "pb":
        return b"".join(message(n) for n in range(number + 1)), "application/x-protobuf", {}
    if kind == "json.gz":
        return gzip.compress(LOCK.encode()), "application/json", {"Content-Encoding": "gzip"}
    return database(), "application/vnd.sqlite3", {}


KINDS = ["bin", "md", "lock", "tar", "tgz", "zip", "png", "pb", "json.gz", "sqlite"]
files = {}
for number in range(200):
    kind = KINDS[number % len(KINDS)]
    data, content_type, headers = made(kind, number // len(KINDS))
    digest = hashlib.sha256(data).digest()
    if number % 3 == 0:
        headers["Content-MD5"] = base64.b64encode(hashlib.md5(data).digest()).decode()
        headers["Repr-Digest"] = f"sha-256=:{base64.b64encode(digest).decode()}:"
    headers["ETag"] = f'"{digest.hex()}"'
    files[f"/files/{number}.{kind}"] = (data, content_type, headers)
files["/files/large.bin"] = (rng.randbytes(3_000_000) + README.encode() + rng.randbytes(3_000_000), "application/octet-stream", {"ETag": '"large"'})
digests = {path.rsplit("/", 1)[1]: hashlib.sha256(data).hexdigest() for path, (data, *_) in files.items()}

# An npm registry with one package, and an index with one wheel.
package = tarred({"package/package.json": json.dumps({"name": "downloaded", "version": "1.0.0"}).encode(),
                  "package/README.md": README.encode(), "package/index.js": b"module.exports = 1\n"}, "w:gz")
wheel_files = {"downloaded/__init__.py": b"VALUE = 1\n", "downloaded/README.md": README.encode(),
               "downloaded-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: downloaded\nVersion: 1.0\n\n" + README.encode(),
               "downloaded-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
record = "".join(f"{name},,\n" for name in wheel_files) + "downloaded-1.0.dist-info/RECORD,,\n"
wheel = zipped({**wheel_files, "downloaded-1.0.dist-info/RECORD": record.encode()})
digests["README.md"] = hashlib.sha256(README.encode()).hexdigest()
with open(digest_file, "w") as out:
    json.dump(digests, out)


class Handler(other_side.Host):
    def send(self, status, body, headers, chunked=False):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(body)))))
        self.end_headers()
        if self.command == "HEAD":
            return
        if not chunked:
            self.wfile.write(body)
            return
        for at in range(0, len(body), 7000):
            part = body[at : at + 7000]
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def answer(self):
        body = self.body()
        path = urllib.parse.urlsplit(self.path).path
        if self.headers.get("Authorization") != f"Bearer {KEY}" or "Range" in self.headers:
            return self.send(401, b"who are you?\n", {"Content-Type": "text/plain"})
        origin = f"https://{self.headers['Host']}"
        if path in files:
            data, content_type, headers = files[path]
            # Of a part somebody has to know the length of the whole.
            chunked = path.endswith((".pb", ".md", ".zip"))
            return self.send(200, data, {"Content-Type": content_type, "Accept-Ranges": "bytes", **headers}, chunked)
        if path.startswith("/repo.git/"):
            return self.send(*self.git(folder, body))
        if path == "/npm/downloaded":
            integrity = "sha512-" + base64.b64encode(hashlib.sha512(package).digest()).decode()
            dist = {"tarball": f"{origin}/npm/downloaded/-/downloaded-1.0.0.tgz", "integrity": integrity}
            versions = {"1.0.0": {"name": "downloaded", "version": "1.0.0", "dist": dist}}
            packument = {"name": "downloaded", "dist-tags": {"latest": "1.0.0"}, "versions": versions, "readme": README}
            return self.send(200, json.dumps(packument).encode(), {"Content-Type": "application/json"})
        if path.endswith("/downloaded-1.0.0.tgz"):
            return self.send(200, package, {"Content-Type": "application/octet-stream"})
        if path == "/simple/downloaded/":
            link = f'<a href="/wheels/downloaded-1.0-py3-none-any.whl#sha256={hashlib.sha256(wheel).hexdigest()}">downloaded-1.0-py3-none-any.whl</a>'
            return self.send(200, f"<!DOCTYPE html><html><body>{link}</body></html>".encode(), {"Content-Type": "text/html"})
        if path.endswith(".whl"):
            return self.send(200, wheel, {"Content-Type": "application/octet-stream"})
        return self.send(404, b"nothing here\n", {"Content-Type": "text/plain"})

    do_GET = do_POST = do_HEAD = answer


class Calls(grpc.GenericRpcHandler):
    """Messages are bytes: what a request has, and URLs behind it."""

    def service(self, details):
        metadata = dict(details.invocation_metadata)

        def known(context):
            if metadata.get("authorization") != f"Bearer {KEY}":
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")

        def unary(request, context):
            known(context)
            return request + README.encode() + message(7)

        def stream(request, context):
            known(context)
            for number in range(50):
                yield request + message(number) + README.encode() * (number % 5)

        if details.method == "/downloads.Calls/Unary":
            return grpc.unary_unary_rpc_method_handler(unary)
        if details.method == "/downloads.Calls/Stream":
            return grpc.unary_stream_rpc_method_handler(stream)
        return None


key, certificate = (open(f"{folder}/{name}.pem", "rb").read() for name in ("key", "cert"))
calls = grpc.server(futures.ThreadPoolExecutor(8))
calls.add_generic_rpc_handlers((Calls(),))
calls_port = calls.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
calls.start()

server = other_side.tls_server(folder, Handler)
other_side.say(port_file, f"{server.server_port} {calls_port}\n")
server.serve_forever()
