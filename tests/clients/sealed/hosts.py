"""The other side: an API that wants a bearer, a stand-in for OpenAI that streams, a git server that wants a
password, and an S3 that checks signatures. Each says what it was sent again wherever it can. What came with
the right credential is logged; nothing else is.

Usage: hosts.py FOLDER PORT_FILE LOG (the folder has cert.pem, key.pem and repo.git)"""

import base64, hashlib, json, sys, threading, time, urllib.parse

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import other_side

folder, port_file, log = sys.argv[1:4]
KEY = "sk-proj-9fQ2xLw7Vb4NcT8mZr1KpY6hJd3GsA5e"
TOKEN = "ghp_R7vXq2LmZ9sKdT4wBn6YcPf1HgJ8uEa3Wo5i"
AWS_ID, AWS_KEY = "AKIAQ7WZX3NLP5VTRY2M", "q9Jz/2LxVw7Rb+K4NcTm8ZrYp1Hd6JsGuA5eXo3f"
objects, lock = {}, threading.Lock()


def note(line):
    with lock, open(log, "a") as file:
        file.write(line + "\n")


def signed(handler, body):
    """Whether a request carries the signature that the keys make."""
    given = handler.headers.get("Authorization", "")
    if not given.startswith("AWS4-HMAC-SHA256 "):
        return False
    parts = dict(part.strip().split("=", 1) for part in given.split(" ", 1)[1].split(","))
    key, _, region, service, _ = parts["Credential"].split("/")
    headers = {name: handler.headers[name] for name in parts["SignedHeaders"].split(";")}
    digest = handler.headers.get("X-Amz-Content-SHA256", "")
    if len(digest) == 64 and digest != hashlib.sha256(body).hexdigest():
        return False
    auth = (S3SigV4Auth if service == "s3" else SigV4Auth)(Credentials(AWS_ID, AWS_KEY), service, region)
    request = AWSRequest(handler.command, f"https://{handler.headers['Host']}{handler.path}", headers, body)
    request.context["timestamp"] = handler.headers["X-Amz-Date"]
    parsed = urllib.parse.urlsplit(request.url)
    request.params = urllib.parse.parse_qs(parsed.query, keep_blank_values=True) and dict(
        urllib.parse.parse_qsl(parsed.query, keep_blank_values=True)
    )
    canonical = auth.canonical_request(request)
    return key == AWS_ID and parts["Signature"] == auth.signature(auth.string_to_sign(request, canonical), request)


def unchunked(body):
    """The inside of aws-chunked, as the SDK sends it."""
    whole = b""
    while body:
        line, _, body = body.partition(b"\r\n")
        size = int(line.split(b";")[0] or b"0", 16)
        if not size:
            break
        whole, body = whole + body[:size], body[size + 2 :]
    return whole


class Handler(other_side.Host):
    def send(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("X-Echo", self.headers.get("Authorization", ""))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer(self):
        body = self.body()
        path = urllib.parse.urlsplit(self.path).path
        if path.startswith("/repo.git/"):
            return self.repository(body)
        if path.startswith("/bucket"):
            return self.s3(path, body)
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            return self.send(401, json.dumps(dict(self.headers)).encode(), Content_Type="application/json")
        note(f"{path} {self.headers.get('User-Agent', '').split('/')[0]}")
        if path.endswith("/chat/completions"):
            return self.complete(json.loads(body))
        echo = {"headers": dict(self.headers), "body": body.decode("latin-1"), "again": base64.b64encode(KEY.encode()).decode()}
        self.send(200, json.dumps(echo).encode(), Content_Type="application/json")

    def complete(self, asked):
        words = ["You ", "sent ", KEY[:11], KEY[11:], ", ", "and ", asked["messages"][-1]["content"], "."]
        if not asked.get("stream"):
            message = {"role": "assistant", "content": "".join(words)}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            done = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
            return self.send(200, json.dumps(done).encode(), Content_Type="application/json")
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        text = "data: " + json.dumps({"note": f"whole: {KEY}"}) + "\n\n"
        events = [f": {KEY}\n\n"]
        for word in words:
            delta = {"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}
            event = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [delta]}
            events.append(f"data: {json.dumps(event)}\n\n")
        for event in [*events, "data: [DONE]\n\n"]:
            self.wfile.write(f"{len(event):x}\r\n{event}\r\n".encode())
            self.wfile.flush()
            time.sleep(0.02)
        self.wfile.write(b"0\r\n\r\n")

    def repository(self, body):
        wanted = "Basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
        if self.headers.get("Authorization") != wanted:
            return self.send(401, b"who are you?\n", WWW_Authenticate='Basic realm="git"')
        note(f"git {self.command}")
        status, rest, headers = self.git(folder, body)
        self.send(status, rest, **{name.replace("-", "_"): value for name, value in headers.items()})

    def s3(self, path, body):
        if not signed(self, body):
            return self.send(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>", Content_Type="application/xml")
        note(f"s3 {self.command}")
        if self.command == "PUT":
            coded = "aws-chunked" in self.headers.get("Content-Encoding", "")
            objects[path] = unchunked(body) if coded else body
            return self.send(200, b"", ETag='"x"')
        if self.command == "GET" and path in objects:
            return self.send(200, objects[path], ETag='"x"', Last_Modified="Wed, 25 Nov 2026 00:00:00 GMT")
        listed = "".join(f"<Contents><Key>{key[8:]}</Key><Size>1</Size></Contents>" for key in objects)
        text = f"<ListBucketResult><Name>bucket</Name><KeyCount>{len(objects)}</KeyCount><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>"
        self.send(200, text.encode(), Content_Type="application/xml")

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer


server = other_side.tls_server(folder, Handler)
other_side.say(port_file, str(server.server_port))
server.serve_forever()
