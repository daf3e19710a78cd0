"""Files in a host's folder for offline deals: what lies there, and which of them the console wants."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from poolsite.wire.codec import BadWire, Document, Int, Text

FILES_MAX: Final = 200
"""Files of a folder that a host tells of, by name."""
NAME_MAX: Final = 255
PATH_MAX: Final = 1_000


class FileFault(StrEnum):
    """Why a file is not offered."""

    GROWING = "GROWING"
    """It has changed lately."""
    WAITS = "WAITS"
    """Its commitment is still to be computed."""
    LINK = "LINK"
    """A symbolic link: it may lead out of the folder."""
    NO_FILE = "NO_FILE"
    """A folder, a device, …"""
    EMPTY = "EMPTY"
    UNREADABLE = "UNREADABLE"


class FolderFile(Document, frozen=True, kw_only=True):
    """One file of the folder."""

    name: Text
    size: Int = 0
    piece_cid: Text = ""
    """The CID of version 2; empty with a fault."""
    fault: FileFault | None = None


class FolderReport(Document, frozen=True, kw_only=True):
    """All files of the folder."""

    folder: Text
    files: tuple[FolderFile, ...] = ()
    error: Text = ""
    """Why the folder cannot be read."""

    def __post_init__(self) -> None:
        if len(self.files) > FILES_MAX:
            raise BadWire("files", f"has at most {FILES_MAX} files")
        if len(self.folder) > PATH_MAX or len(self.error) > PATH_MAX:
            raise BadWire("folder", f"has at most {PATH_MAX} characters")
        for number, file in enumerate(self.files):
            if not 0 < len(file.name) <= NAME_MAX or file.size < 0:
                raise BadWire(f"files.{number}", "is no file")


class WantedFile(Document, frozen=True, kw_only=True):
    """A file whose bytes a deal waits for."""

    name: Text
    deal: Text
    """The console's name of the deal."""


class FolderAnswer(Document, frozen=True, kw_only=True):
    """Which files the host is to send."""

    wanted: tuple[WantedFile, ...] = ()
