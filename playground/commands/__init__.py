"""The commands of `playground`, a module each; `playground.cli` puts them together.

Heavy libraries are imported inside the commands, so that --help and a wrong flag are answered at
once.
"""
