"""An MCP server that needs a token, as anybody would write one with the SDK."""

import os

from mcp.server import MCPServer

server = MCPServer("other")


@server.tool()
def add(a: int, b: int) -> str:
    """Adds, and is careless with its token."""
    return f"{a + b} {os.environ['OTHER_TOKEN']}"


server.run()
