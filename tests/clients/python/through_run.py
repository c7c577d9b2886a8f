"""Calls another MCP server through `authy-mcp run`, many times.

Usage: through_run.py --binary PATH --scope SCOPE --calls N -- ARGV...
"""

import argparse
import asyncio
import os
import sys

from mcp import Client, StdioServerParameters


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--scope", required=True)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("argv", nargs="+")
    args = parser.parse_args()
    env = {name: os.environ[name] for name in ("AUTHY_MCP_HOME", "HOME", "PATH")}
    server = StdioServerParameters(command=args.binary, args=["run", "--scope", args.scope, "--", *args.argv], env=env)
    async with Client(server, read_timeout_seconds=30) as client:
        tools = await client.list_tools()
        assert [tool.name for tool in tools.tools] == ["add"], tools
        for n in range(args.calls):
            result = await client.call_tool("add", {"a": n, "b": 1})
            text = result.content[0].text
            assert text == f"{n + 1} [redacted:other/token]", text
    print(f"{args.calls} calls through authy-mcp run, none stalled")


asyncio.run(main())
