"""gRPC as a client has it: one call, and a stream. What comes is what the host sent, or this fails."""
import os, sys, grpc
roots = open(os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"], "rb").read()
channel = grpc.secure_channel(sys.argv[1], grpc.ssl_channel_credentials(roots))
README_HEAD, README_END = b"# dev\npostgres://dev:hunter2pass@localhost:5432/dev\n", b"@sha256:" + b"0" * 64 + b"\n"
one = channel.unary_unary("/downloads.Calls/Unary")(b"asked:", timeout=20)
assert one.startswith(b"asked:" + README_HEAD) and one.endswith(b"https://user7:password7@db.example/7"), one
messages = list(channel.unary_stream("/downloads.Calls/Stream")(b"", timeout=20))
for number, message in enumerate(messages):
    url = f"https://user{number}:password{number}@db.example/{number}".encode()
    assert message.startswith(b"\x08" + bytes([number]) + b"\x12" + bytes([len(url)]) + url), (number, message)
    assert message.count(README_END) == number % 5, (number, message)
print("calls", 1 + len(messages))
