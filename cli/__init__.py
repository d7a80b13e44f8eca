"""The command line: each command opens, calls the library once, and prints."""

from featstore.cli.main import main

__all__ = ["main"]
