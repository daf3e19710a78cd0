"""What can go wrong in a stage, told apart by what helps: trying again, or a person.

Source: ipfs-force-community/damocles damocles-worker/src/sealing/failure.rs Level.
"""

from __future__ import annotations

import errno
from typing import Final

from workers.storage.files import NotEnoughSpace
from workers.storage.page_drives import DriveFailed, DriveMissing

FULL: Final = {errno.ENOSPC, errno.EDQUOT}
SHORT: Final = {errno.EMFILE, errno.ENFILE}
"""The process, or the machine, has too many files open."""


class ProcessorError(Exception):
    """A stage has failed; `level` is the word that crosses the processor protocol."""

    level = "permanent"


class TemporaryError(ProcessorError):
    """Trying again may help: a child died, a disk was slow or full for a while."""

    level = "temporary"


class PermanentError(ProcessorError):
    """Trying again with the same inputs gives the same error."""


class BadInput(PermanentError):
    """An input that no sector can have."""


class BadPiece(BadInput):
    """A piece or list of pieces that does not fit the sector."""


class BadFile(PermanentError):
    """A sector file that is missing, has the wrong size or the wrong content."""


class DiskFull(TemporaryError):
    """Not enough room for the files of the stage."""


class NotEnoughRoom(TemporaryError):
    """Not enough memory for the stage."""


class BadProof(PermanentError):
    """The proof just made does not verify: a file has been damaged on the way."""


class StageRefused(PermanentError):
    """A child was asked for a stage that it does not run."""


class TicketTooOld(TemporaryError):
    """Labels of this ticket would be too late; none was made."""


class ChildLost(TemporaryError):
    """The child process ended before it answered."""


class ChildNotReady(TemporaryError):
    """The child process did not greet in time, or greeted with something else."""


class CallGivenUp(TemporaryError):
    """Nobody wants the answer any more, or another child is to give it."""


class ChildTimeout(TemporaryError):
    """The child process gave no heartbeat for longer than allowed."""


ERRORS: dict[str, type[ProcessorError]] = {
    kind.__name__: kind
    for kind in (
        TemporaryError,
        PermanentError,
        BadInput,
        BadPiece,
        BadFile,
        DiskFull,
        NotEnoughRoom,
        TicketTooOld,
        BadProof,
        StageRefused,
        ChildLost,
        ChildNotReady,
        ChildTimeout,
    )
}
"""Names that cross the protocol."""


def file_error(error: OSError) -> ProcessorError:
    """Return what a file that cannot be opened, read or written means: only BadFile blames the file."""
    if isinstance(error, NotEnoughSpace) or error.errno in FULL:
        return DiskFull(str(error))
    if error.errno == errno.ENOMEM:
        return NotEnoughRoom(str(error))
    is_passing = error.errno in SHORT or isinstance(error, DriveMissing | DriveFailed)
    return TemporaryError(str(error)) if is_passing else BadFile(str(error))


def error_of(kind: str | None, level: str | None, *, message: str) -> ProcessorError:
    """Make the error that a child reported; a foreign child without our fields gets a permanent one."""
    known = ERRORS.get(kind or "")
    if known is not None:
        return known(message)
    return TemporaryError(message) if level == TemporaryError.level else PermanentError(message)
