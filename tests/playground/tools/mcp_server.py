"""An MCP server in a process of its own: over stdio, or over HTTP at the port it is given."""

import sys

from mcp.server import MCPServer

server = MCPServer("shop")


@server.tool()
def price(product: str) -> int:
    """Get the price of a product."""
    if product == "nothing":
        raise ValueError("no such product")
    return {"lamp": 30, "chair": 75}[product]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", port=int(sys.argv[1]))
    else:
        server.run("stdio")
