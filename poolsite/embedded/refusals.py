"""Why a pool does not start: each reason is one sentence for the person at the terminal."""

from __future__ import annotations


class CannotStart(Exception):
    """The pool was not started; nothing was changed."""


class AlreadyRunning(CannotStart):
    """Another supervisor, or what one left behind, still owns the folder."""


class PortTaken(CannotStart):
    """A listening port belongs to another program."""


class BadFolder(CannotStart):
    """The folder holds something that this pool must not use or cannot read."""


class NoRoom(CannotStart):
    """The disk is too full to begin."""


class NoProgram(CannotStart):
    """A server's program is neither in the environment nor on this machine."""
