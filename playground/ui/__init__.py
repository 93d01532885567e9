"""The page: a thin Gradio face over a `Backend`, the studio and the feedback store.

Knows no torch and no HTTP. `build_page` makes the page, `mount_page` puts it on an app.
"""

from playground.ui.page import build_page, mount_page

__all__ = ["build_page", "mount_page"]
