"""The other side: an API on this machine that wants a bearer. What comes is logged, with whether it came with the real
value; nothing is said again.

Usage: host.py FOLDER PORT_FILE LOG VALUE (the folder has cert.pem and key.pem)"""

import http.server, ssl, sys

folder, port_file, log, value = sys.argv[1:5]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        arrived = self.headers.get("Authorization") == f"Bearer {value}"
        with open(log, "a") as file:
            file.write(f"{self.path} {'arrived' if arrived else 'WITHOUT'}\n")
        # As a git server that knows only files.
        files = {"/repo.git/info/refs": b"1" * 40 + b"\trefs/heads/main\n", "/repo.git/HEAD": b"ref: refs/heads/main\n"}
        good = files.get(self.path.split("?")[0], b"the host has answered\n")
        body = good if arrived else b"who is it?\n"
        self.send_response(200 if arrived else 401)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
with open(port_file, "w") as file:
    file.write(str(server.server_port))
server.serve_forever()
