"""One command of an old program: its words, its options, and what it does."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


class Refused(Exception):
    """One sentence of why nothing was done."""

    def __init__(self, sentence: str, *, code: int = 0) -> None:
        super().__init__(sentence)
        self.code = code
        """Code of the JSON-RPC error that said so; 0 for none."""


@dataclass(frozen=True, slots=True)
class Verb:
    """One command."""

    words: str
    """As they are typed behind the program's name; empty for the program alone."""
    does: str
    """Its line in the help."""
    run: Callable[[argparse.Namespace], str]
    """Returns what is printed.  Raises Refused."""
    options: Callable[[argparse.ArgumentParser], None] | None = None
    """Adds its options."""
    is_elsewhere: bool = False
    """Whether another program of the pool does it: its old options are accepted and ignored."""


def elsewhere(words: str, sentence: str) -> Verb:
    """Return a command that another program does: it says which."""

    def say(_options: argparse.Namespace) -> str:
        raise Refused(sentence)

    return Verb(words, sentence, say, is_elsewhere=True)


def secret_read(typed: str, file: str, *, prompt: str) -> str:
    """Return a secret from the command line, a file, or a prompt that does not show it.  Raises Refused."""
    if typed:
        return typed
    if file:
        return secret_file_read(Path(file))
    try:
        secret = getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().strip()
    except EOFError:
        secret = ""
    if not secret:
        raise Refused("no token was entered")
    return secret


def secret_file_read(path: Path) -> str:
    """Return the secret in a file.  Raises Refused."""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
