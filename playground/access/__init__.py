"""Who may use this server. Knows no HTTP framework and no page; the faces ask `Access`.

Today one API key for all. Accounts, roles and limits belong here when they come.
"""

from playground.access.access import Access

__all__ = ["Access"]
