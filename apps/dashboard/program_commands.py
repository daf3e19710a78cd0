"""The commands that start a program of the pool on another machine: its token goes into a file.

What stands on a command line is read by everybody on that machine, and the shell keeps it.
"""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.utils.translation import gettext

CLONE: Final = "git clone {source} poolsite && cd poolsite\n"


def program_commands(start: str, *, into: str) -> str:
    """Return the lines that fetch the programs, if it is known from where, store a token and start one.

    The last two are one command: pasted together, the start is not taken for the token.
    """
    clone = CLONE.format(source=settings.SOURCE_URL) if settings.SOURCE_URL else ""
    paste = gettext("paste the token, Enter, Ctrl-D")
    return f"{clone}(umask 077; cat > {into}) &&    # {paste}\n{start}"


def programs_place() -> str:
    """Return the sentence that says where to run the commands."""
    if settings.SOURCE_URL:
        return gettext("on its machine")
    return gettext("on its machine, in a copy of the console's folder without var and .venv")
