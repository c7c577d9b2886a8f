"""Drives the built binary with the official Python SDK: both eras of the protocol, both transports.

Usage: drive.py BINARY. Prints a line a check, and closes with 'N passed, N failed'.
"""

import asyncio
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

VALUE = "sk-drive-7Qm2vXz9LrT4"
BINARY = os.path.realpath(sys.argv[1])
MARK = "86399.25"
passed = failed = 0


def check(what, good, detail=""):
    global passed, failed
    if good:
        passed += 1
        print(f"ok    {what}")
    else:
        failed += 1
        print(f"FAIL  {what}  {detail}")


def admin(home, *words, stdin=None):
    env = {"PATH": os.environ["PATH"], "HOME": home, "AUTHY_MCP_HOME": f"{home}/vault"}
    done = subprocess.run([BINARY, *words], env=env, input=stdin, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"authy-mcp {' '.join(words)}: {done.stderr}")
    return done.stdout


def set_up(home):
    script = pathlib.Path(home, "slow")
    script.write_text('#!/bin/sh\nfor i in 1 2 3; do echo "step $i $API_KEY"; sleep 0.3; done\n')
    script.chmod(0o755)
    admin(home, "init", "--no-pin", "--unlock", "identity-file")
    admin(home, "admin", "set", "api/key", "--env", "API_KEY", stdin=VALUE)
    allow = ["admin", "allow", "dev", "--yes", "--secret", "api/key"]
    admin(home, *allow, "--id", "env", "--", "printenv", "API_KEY")
    admin(home, *allow, "--id", "slow", "--", str(script))
    admin(home, *allow, "--id", "sleep", "--", "sleep", "*")
    return str(script)


def alive():
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    return f"sleep {MARK}" in listed


def whole(result):
    return "".join(block.text for block in result.content) + json.dumps(result.structured_content)


async def session(name, client, script):
    tools = await client.list_tools()
    check(f"{name}: three tools", [t.name for t in tools.tools] == ["list_allowed", "run_with_secrets", "request_token"])
    check(f"{name}: schemas and annotations", all(t.output_schema and t.annotations for t in tools.tools))

    listed = await client.call_tool("list_allowed", {})
    rules = listed.structured_content["rules"]
    check(f"{name}: list_allowed", not listed.is_error and len(rules) == 3, whole(listed))

    for rule in rules:
        if rule["id"] == "sleep":
            continue
        ran = await client.call_tool("run_with_secrets", rule["example"])
        check(f"{name}: the example of {rule['id']} runs", not ran.is_error and ran.structured_content["exit_code"] == 0, whole(ran))
        check(f"{name}: it is masked", "[redacted:api/key]" in whole(ran) and VALUE not in whole(ran), whole(ran))

    said = []

    async def progress(done, total, message):
        said.append(message or "")

    ran = await client.call_tool("run_with_secrets", {"command": [script], "secrets": ["api/key"]}, progress_callback=progress)
    check(f"{name}: progress comes, masked", len(said) >= 2 and all(VALUE not in m for m in said) and "step 1" in said[0], said)
    check(f"{name}: and the result is complete", "step 3 [redacted:api/key]" in whole(ran), whole(ran))

    refused = await client.call_tool("run_with_secrets", {"command": ["env"], "secrets": ["api/key"]})
    check(f"{name}: a denied run", refused.is_error and refused.structured_content["code"] == "command_not_allowed", whole(refused))
    missing = await client.call_tool("run_with_secrets", {"command": ["env"], "secrets": ["no/such"]})
    check(f"{name}: not available", missing.is_error and missing.structured_content["code"] == "not_available", whole(missing))
    wrong = await client.call_tool("run_with_secrets", {"command": "printenv API_KEY"})
    check(f"{name}: a text for command", wrong.is_error and wrong.structured_content["code"] == "bad_argument", whole(wrong))

    call = asyncio.create_task(client.call_tool("run_with_secrets", {"command": ["sleep", MARK], "secrets": ["api/key"]}))
    for _ in range(200):
        if alive():
            break
        await asyncio.sleep(0.05)
    check(f"{name}: the run to cancel has begun", alive())
    call.cancel()
    try:
        await call
    except asyncio.CancelledError:
        pass
    for _ in range(300):
        if not alive():
            break
        await asyncio.sleep(0.05)
    check(f"{name}: a cancelled run is gone", not alive())
    again = await client.call_tool("list_allowed", {})
    check(f"{name}: and the session goes on", not again.is_error)


async def over_stdio(home, script, mode, token):
    env = {"AUTHY_MCP_HOME": f"{home}/vault", "PATH": os.environ["PATH"]}
    server = StdioServerParameters(command=BINARY, args=["serve", "--token-file", token], env=env)
    async with Client(server, mode=mode, read_timeout_seconds=60) as client:
        await session(f"stdio {client.protocol_version}", client, script)


async def over_http(home, script, mode, token, url):
    bearer = pathlib.Path(token).read_text()
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {bearer}"}, timeout=60) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode, read_timeout_seconds=60) as client:
            await session(f"http {client.protocol_version}", client, script)


async def http_doors(url, token):
    bearer = pathlib.Path(token).read_text()
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"Accept": "application/json, text/event-stream"}
    async with httpx2.AsyncClient(timeout=30) as http:
        bare = await http.post(url, json=body, headers=accept)
        check("http: no token is 401", bare.status_code == 401 and "Bearer" in bare.headers.get("WWW-Authenticate", ""))
        bad = await http.post(url, json=body, headers={**accept, "Authorization": "Bearer x.y.z"})
        check("http: a bad token is 401", bad.status_code == 401 and "invalid_token" in bad.headers["WWW-Authenticate"])
        query = await http.post(f"{url}?access_token={bearer}", json=body, headers=accept)
        check("http: a token in the query is 401", query.status_code == 401)
        good = {**accept, "Authorization": f"Bearer {bearer}"}
        origin = await http.post(url, json=body, headers={**good, "Origin": "http://evil.example"})
        check("http: a foreign origin is refused", origin.status_code == 403, origin.status_code)
        host = await http.post(url, json=body, headers={**good, "Host": "evil.example"})
        check("http: a foreign host is refused", host.status_code in (400, 403, 421), host.status_code)
        elsewhere = await http.post(url.replace("/mcp", "/other"), json=body, headers=good)
        check("http: one endpoint", elsewhere.status_code == 404, elsewhere.status_code)


async def other_scope(home, url, token):
    """A session that one token opened is nothing to another."""
    admin(home, "admin", "allow", "other", "--yes", "--secret", "api/key", "--", "true")
    foreign = f"{home}/other.jwt"
    admin(home, "admin", "token", "issue", "--scope", "other", "--out", foreign)
    initialize = {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
    }
    accept = {"Accept": "application/json, text/event-stream"}
    bearer = lambda file: {**accept, "Authorization": f"Bearer {pathlib.Path(file).read_text()}"}
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "list_allowed", "arguments": {}}}
    async with httpx2.AsyncClient(timeout=30) as http:
        opened = await http.post(url, json=initialize, headers=bearer(token))
        opened_id = opened.headers.get("Mcp-Session-Id", "")
        check("http: a session is opened", bool(opened_id), opened.status_code)
        stolen = await http.post(url, json=call, headers={**bearer(foreign), "Mcp-Session-Id": opened_id})
        check("http: another token can't use it", stolen.status_code == 404 and "printenv" not in stolen.text, stolen.text)
        tokens = json.loads(admin(home, "--json", "admin", "token", "list"))
        victim = next(t["id"] for t in tokens if t["scope"] == "dev")
        admin(home, "admin", "token", "revoke", victim)
        revoked = await http.post(url, json=call, headers={**bearer(token), "Mcp-Session-Id": opened_id})
        check("http: a revoked token is 401 at the next request", revoked.status_code == 401, revoked.status_code)


async def main():
    with tempfile.TemporaryDirectory() as home:
        script = set_up(home)
        token = f"{home}/dev.jwt"
        admin(home, "admin", "token", "issue", "--scope", "dev", "--ttl", "1h", "--out", token)
        for mode in ("2026-07-28", "auto", "legacy"):
            await over_stdio(home, script, mode, token)
        env = {"AUTHY_MCP_HOME": f"{home}/vault", "PATH": os.environ["PATH"], "HOME": home}
        server = subprocess.Popen([BINARY, "serve", "--http", "127.0.0.1:0"], env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            url = server.stderr.readline().split()[-1]
            for mode in ("2026-07-28", "legacy"):
                await over_http(home, script, mode, token, url)
            await http_doors(url, token)
            await other_scope(home, url, token)
        finally:
            server.terminate()
            out, err = server.communicate(timeout=30)
        check("http: nothing on standard output", out == "", out[:200])
        check("http: no value in the log", VALUE not in err)
        admin(home, "admin", "audit", "verify")
        check("the audit log verifies", True)
        events = [json.loads(line) for line in admin(home, "admin", "audit", "export").splitlines()]
        runs = lambda kind: sorted(e["run"] for e in events if e["event"] == kind)
        check("one intent and one outcome a run", runs("intent") == runs("outcome") and len(set(runs("intent"))) == len(runs("intent")))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
