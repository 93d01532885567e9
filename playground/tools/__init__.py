"""Tools that run: Python functions, a few built-in ones, and those of MCP servers
(`playground.tools.mcp_servers`, whose SDK takes half a second to import).

Knows what a tool is and how to run it within a time limit; knows no model and no page. Who may run
what is decided by `playground.tools.loop`.
"""

from playground.tools.builtin import built_in_tools
from playground.tools.functions import function_tool, functions_of_file
from playground.tools.toolbox import RunnableTool, Toolbox, ToolResult

__all__ = [
    "RunnableTool",
    "ToolResult",
    "Toolbox",
    "built_in_tools",
    "function_tool",
    "functions_of_file",
]
