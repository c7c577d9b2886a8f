"""One MCP call over stdio. Prints text and structure; exits with 1 for a refusal.

Usage: call.py --binary PATH --scope SCOPE TOOL ARGUMENTS
"""

import argparse
import asyncio
import json
import os
import sys

from mcp import Client, StdioServerParameters


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--scope", required=True)
    parser.add_argument("tool")
    parser.add_argument("arguments")
    args = parser.parse_args()
    env = {name: os.environ[name] for name in ("AUTHY_MCP_HOME", "HOME", "PATH", "XDG_RUNTIME_DIR") if name in os.environ}
    server = StdioServerParameters(command=args.binary, args=["serve", "--scope", args.scope], env=env)
    async with Client(server, read_timeout_seconds=120) as client:
        result = await client.call_tool(args.tool, json.loads(args.arguments))
    print("\n".join(block.text for block in result.content))
    print(json.dumps(result.structured_content, indent=1))
    return 1 if result.is_error else 0


sys.exit(asyncio.run(main()))
