"""The other side: an API on this machine that wants a bearer. What comes is logged, with whether it came with the real
value; nothing is said again.

Usage: host.py FOLDER PORT_FILE LOG VALUE (the folder has cert.pem and key.pem)"""

import sys

import other_side

folder, port_file, log, value = sys.argv[1:5]


class Handler(other_side.Host):
    def do_GET(self):
        self.body()
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


server = other_side.tls_server(folder, Handler, handshake_at_once=True)
other_side.say(port_file, str(server.server_port))
server.serve_forever()
