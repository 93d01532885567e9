"""``python -m playground``, for where the command is not on the path."""

from playground.cli import main

main()
