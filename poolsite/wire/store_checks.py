"""What a host finds of sectors' files in a store: by a check of their sums, and by a scan."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from poolsite.wire.codec import NUMBER_MAX, BadWire, Document, Int, Text

FILES_MAX: Final = 200
"""Files of one sector that are told."""
FILE_NAME_MAX: Final = 300
OTHER_FILES_MAX: Final = 1_000
"""Files and folders of a scanned store that are told and are no sector's."""


class FileState(StrEnum):
    """The result of a check of one file."""

    GOOD = "GOOD"
    """Its sum is the one that was recorded."""
    NOTED = "NOTED"
    """It was read for the first time, and its sum recorded."""
    NOT_KEPT = "NOT_KEPT"
    """As NOTED, but the store could not be written."""
    NOT_READ = "NOT_READ"
    """It is there with the right size; nobody asked for its sum."""
    DIFFERS = "DIFFERS"
    """Its content is not what was recorded."""
    MISSING = "MISSING"
    WRONG_SIZE = "WRONG_SIZE"
    UNREADABLE = "UNREADABLE"
    """The disk refuses to read it."""
    WRONG_COMM_R = "WRONG_COMM_R"
    """`p_aux` makes another commitment than the sector has."""


BAD_FILES: Final = frozenset(
    {
        *(FileState.DIFFERS, FileState.MISSING, FileState.WRONG_SIZE),
        *(FileState.UNREADABLE, FileState.WRONG_COMM_R),
    }
)
"""States that need somebody."""


class CheckedFile(Document, frozen=True, kw_only=True):
    """One file of a sector."""

    name: Text
    """Below the store's root, as `sealed/s-t01000-7`."""
    state: FileState
    size: Int = 0


class CheckedSector(Document, frozen=True, kw_only=True):
    """The files of one sector in a store."""

    command: Text
    """The order's id."""
    files: tuple[CheckedFile, ...]

    def __post_init__(self) -> None:
        if len(self.files) > FILES_MAX or any(len(one.name) > FILE_NAME_MAX for one in self.files):
            raise BadWire(
                "checked", f"must have at most {FILES_MAX} files, with names of at most {FILE_NAME_MAX}"
            )


class ScannedSectors(Document, frozen=True, kw_only=True):
    """The sectors of one miner in a store that was scanned, as run lengths, the first of them without."""

    miner_id: Int
    whole: tuple[Int, ...]
    """Those with a replica and its `p_aux`."""
    half: tuple[Int, ...] = ()
    """Those of which a part lies there: what a copy left that was not finished, or other leftovers."""
    half_bytes: tuple[Int, ...] = ()
    """What these take, by their numbers' order."""
    half_kinds: tuple[Text, ...] = ()
    """The folders of the store in which each of these has files, as `cache unsealed`."""

    def __post_init__(self) -> None:
        for runs in (self.whole, self.half):
            if any(run < 0 for run in runs) or sum(runs) > NUMBER_MAX:
                raise BadWire("scanned", f"must be run lengths of at most {NUMBER_MAX} numbers")


class ScannedFile(Document, frozen=True, kw_only=True):
    """A file or folder that belongs to no sector."""

    name: Text
    """Below the store's root."""
    size: Int


class ScannedStore(Document, frozen=True, kw_only=True):
    """Everything found in a store, by file name."""

    command: Text
    miners: tuple[ScannedSectors, ...]
    others: tuple[ScannedFile, ...] = ()

    def __post_init__(self) -> None:
        if len(self.others) > OTHER_FILES_MAX or any(len(one.name) > FILE_NAME_MAX for one in self.others):
            raise BadWire(
                "scanned",
                f"must have at most {OTHER_FILES_MAX} files, with names of at most {FILE_NAME_MAX}",
            )
