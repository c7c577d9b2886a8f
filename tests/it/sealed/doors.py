"""A client that knows no proxy and reads no variable: what it reaches, by which address."""

import socket, ssl, sys

port, tunnel = int(sys.argv[1]), int(sys.argv[2])


def trusted():
    # Not the variable: what is compiled into a client, or what another language would read.
    for bundle in ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"):
        try:
            return ssl.create_default_context(cafile=bundle)
        except OSError:
            pass
    return ssl.create_default_context()


def ask(stream, host):
    stream.sendall(f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
    answer = b""
    while more := stream.recv(65536):
        answer += more
    return answer.split(b" ")[1].decode()


def get(host, name=None):
    with socket.create_connection((host, port), 10) as stream:
        address = stream.getpeername()[0]
        with trusted().wrap_socket(stream, server_hostname=name or host) as tls:
            return f"{address} {ask(tls, host)}"


def refused(what):
    try:
        return what() or "refused"
    except OSError:
        return "refused"


def plainly(host, at):
    with socket.create_connection((host, at), 10) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        return stream.recv(100).decode()


def resolved(name, family=socket.AF_INET):
    try:
        return socket.getaddrinfo(name, 443, family)[0][4][0]
    except socket.gaierror:
        return "no such name" if family == socket.AF_INET else "no such address"


print("api", get("api.localhost"))
print("wild", get("a.wild.localhost"))
print("other-wild", get("b.c.wild.localhost"))
with socket.create_connection(("tunnel.localhost", tunnel), 10) as stream:
    print("tunnel", stream.getpeername()[0], stream.recv(100).decode().strip())
print("other-name", refused(lambda: get("api.localhost", "a.wild.localhost")))
print("other-port", refused(lambda: plainly("api.localhost", 443)))
print("not-covered", refused(lambda: plainly("tunnel.localhost", port)))
print("nobodys-address", refused(lambda: plainly("127.9.9.9", port)))
for name in ("api.example.com", "localhost.example", "wild.localhost.example"):
    print(name, resolved(name))
print("six", resolved("api.localhost", socket.AF_INET6))
