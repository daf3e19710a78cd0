"""Why a pool does not start, or is not backed up: one sentence for the person at the terminal."""

from __future__ import annotations


class StartupError(Exception):
    """The pool was not started; nothing was changed."""


class AlreadyRunning(StartupError):
    """Another supervisor, or what one left behind, still owns the folder."""


class PortTaken(StartupError):
    """A listening port belongs to another program."""


class BadFolder(StartupError):
    """The folder holds something that this pool must not use or cannot read."""


class DiskFull(StartupError):
    """The disk is too full to begin."""


class ProgramMissing(StartupError):
    """A server's program is neither in the environment nor on this machine."""


class BackupRefused(StartupError):
    """A backup was not taken, or not loaded; the pool is as it was."""


class JoinRefused(StartupError):
    """This machine was not added to a pool; nothing says that it was."""


class MoveRefused(StartupError):
    """The pool was not moved to other servers; it is as it was."""


class RequirementMissing(StartupError):
    """A server, or this machine, lacks what the pool needs."""
