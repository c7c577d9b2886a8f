"""What the hosts of the client scripts have in common: bodies, a git server, TLS on loopback, and saying the port."""

import http.server, os, ssl, subprocess, urllib.parse


class Host(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            whole = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return whole
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def git(self, folder, body):
        """The status, body and headers by which git itself answers this request, for the repositories of a folder."""
        url = urllib.parse.urlsplit(self.path)
        environment = {
            "GIT_PROJECT_ROOT": folder, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": url.path, "REQUEST_METHOD": self.command,
            "QUERY_STRING": url.query, "CONTENT_TYPE": self.headers.get("Content-Type", ""), "REMOTE_USER": "x",
            "PATH": os.environ["PATH"], "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True)
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        return int(headers.pop("Status", "200").split()[0]), rest, headers


def tls_server(folder, handler, handshake_at_once=False):
    """A server on a free port, with the certificate of the folder. A handshake at once is made where clients are waited for
    one by one: one that fails then ends nothing but itself."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=handshake_at_once)
    return server


def say(path, text):
    """Written whole or not at all: it is read as soon as it is there."""
    with open(path + ".new", "w") as out:
        out.write(text)
    os.rename(path + ".new", path)
