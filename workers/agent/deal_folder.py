"""A folder on this host with data of offline deals: its files get piece CIDs, and are sent on demand.

Nothing outside the folder is read: a file is opened by its name in the folder that is open, never through a
link, and its commitment is computed from that very file.  Nothing in it is changed or removed.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from poolsite.filecoin.piece_cids import SizedPiece, sized_cid
from poolsite.wire.deal_files import FILES_MAX, FileFault, FolderFile, FolderReport
from workers.console.refusals import ConsoleAway, ConsoleRefused, TokenNotAccepted, VersionsDiffer
from workers.storage.files import sync_file, sync_folder

if TYPE_CHECKING:
    from poolsite.wire.deal_files import FolderAnswer, WantedFile
    from workers.config import SealerConfig
    from workers.console.client import Console
    from workers.console.lease_keeper import LeaseKeeper

log = structlog.get_logger(__name__)

CHECK_S: Final = 15.0
"""Pause between two looks."""
SETTLED_S: Final = 30.0
"""A file that has not changed for so long has stopped growing."""
AGAIN_S: Final = 600.0
"""Pause before a file is sent once more whose bytes the console refused."""
MEMO: Final = "deal-files.json"
"""In the host's own folder: commitments that were computed."""


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A content of a file, told from another by inode, size and time of change."""

    inode: int
    size: int
    changed_ns: int

    @property
    def key(self) -> str:
        """Return it as the memo has it."""
        return f"{self.inode} {self.size} {self.changed_ns}"


def version_of(info: os.stat_result) -> FileVersion:
    """Return which content of a file this is."""
    return FileVersion(info.st_ino, info.st_size, info.st_mtime_ns)


class DealFolder:
    """Looks into the folder that the host's file names, and sends what the console wants, in a thread."""

    def __init__(self, config: SealerConfig, console: Console, leases: LeaseKeeper) -> None:
        self.folder, self.memo = config.deal_folder, config.folder / MEMO
        self.console, self.leases = console, leases
        self._seen: dict[str, tuple[FileVersion, float]] = {}
        """By name: which version was seen first, and when."""
        self._known: dict[str, str] = self._memo_read()
        """Piece CIDs by `FileVersion.key`."""
        self._refused: dict[str, float] = {}
        """By version and deal: until when it is not sent again."""
        self._child: subprocess.Popen[bytes] | None = None
        self._is_stopped = threading.Event()

    def start(self) -> None:
        """Begin to look, if the file names a folder."""
        if self.folder is not None:
            threading.Thread(target=self._work, name="deal-folder", daemon=True).start()

    def stop(self) -> None:
        """End the thread, and what it computes."""
        self._is_stopped.set()
        if (child := self._child) is not None:
            child.kill()

    def _work(self) -> None:
        while not self._is_stopped.is_set():
            try:
                self.check()
            except (ConsoleAway, ConsoleRefused, TokenNotAccepted, VersionsDiffer):
                pass  # the connection logs it; the next look tries again
            except Exception:  # whatever lies there: as above
                log.exception("deal_folder_not_read")
            self._is_stopped.wait(CHECK_S)

    def check(self) -> None:
        """Look once, report, and send what is wanted."""
        if self.folder is None or not (worker := self.leases.worker_id):
            return  # it has not registered
        try:
            root = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            reason = str(error.strerror or error)
            self.console.deal_folder(worker, FolderReport(folder=str(self.folder), error=reason))
            return
        try:
            names = sorted(name for name in os.listdir(root) if not name.startswith("."))[:FILES_MAX]
            files = tuple(self._file(root, name) for name in names)
            self._forget(names)
            answer = self.console.deal_folder(worker, FolderReport(folder=str(self.folder), files=files))
            self._send_all(root, worker, answer)
            waiting = next((one.name for one in files if one.fault is FileFault.WAITS), None)
            if waiting is not None:  # one a look: the others are reported meanwhile
                self._compute(root, waiting)
        finally:
            os.close(root)

    def _file(self, root: int, name: str) -> FolderFile:
        """Return what is to be said of a name in the folder."""
        shown = os.fsencode(name).decode(errors="replace")
        try:
            info = os.stat(name, dir_fd=root, follow_symlinks=False)
        except OSError:
            return FolderFile(name=shown, fault=FileFault.UNREADABLE)
        if stat.S_ISLNK(info.st_mode):
            return FolderFile(name=shown, fault=FileFault.LINK)
        if not stat.S_ISREG(info.st_mode) or shown != name:
            return FolderFile(name=shown, fault=FileFault.NO_FILE)
        version, now = version_of(info), time.monotonic()
        seen, since = self._seen.get(name, (None, now))
        if seen != version:
            self._seen[name] = version, now
            since = now
        if now - since < SETTLED_S:
            return FolderFile(name=name, size=info.st_size, fault=FileFault.GROWING)
        if not info.st_size:
            return FolderFile(name=name, fault=FileFault.EMPTY)
        known = self._known.get(version.key)
        fault = FileFault.WAITS if known is None else FileFault.UNREADABLE if not known else None
        return FolderFile(name=name, size=info.st_size, piece_cid=known or "", fault=fault)

    def _forget(self, names: list[str]) -> None:
        """Drop what is remembered of files that are gone or were changed."""
        here = set(names)
        self._seen = {name: seen for name, seen in self._seen.items() if name in here}
        keys = {version.key for version, _since in self._seen.values()}
        self._known = {key: cid for key, cid in self._known.items() if key in keys}

    def _compute(self, root: int, name: str) -> None:
        """Compute a file's commitment, and keep it; one that changes meanwhile is computed anew."""
        version, _since = self._seen[name]
        try:
            file = open_inside(root, name)
        except OSError as error:
            log.warning("deal_file_not_read", file=name, reason=str(error))
            self._known[version.key] = ""
            return
        try:
            if version_of(os.fstat(file)) != version:
                return
            done = self._commitment(file)
            if version_of(os.fstat(file)) != version or self._is_stopped.is_set():
                return
        finally:
            os.close(file)
        if done is None:  # the others are not kept waiting by it
            self._known[version.key] = ""
            return
        piece = SizedPiece(bytes.fromhex(done["comm_p"]), int(done["payload_size"]))
        self._known[version.key] = str(sized_cid(piece))
        self._memo_write()
        log.info("deal_file_known", file=name, piece_cid=self._known[version.key])

    def _commitment(self, file: int) -> dict[str, Any] | None:
        """Return what `python -m workers commp` says of an open file; None if it failed or was stopped."""
        command = ["nice", "-n", "10", sys.executable, "-m", "workers", "commp", f"/dev/fd/{file}"]
        self._child = subprocess.Popen(  # noqa: S603  # no shell, no name of a file
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=[file]
        )
        try:
            if self._is_stopped.is_set():
                self._child.kill()
            output, _ = self._child.communicate()
            found: dict[str, Any] = json.loads(output)
        except ValueError:
            log.warning("deal_file_not_computed", code=self._child.returncode)
            return None
        else:
            return found
        finally:
            self._child = None

    def _send_all(self, root: int, worker: str, answer: FolderAnswer) -> None:
        for wanted in answer.wanted:
            version, _since = self._seen.get(wanted.name, (None, 0.0))
            if version is None or version.key not in self._known or self._is_stopped.is_set():
                continue
            key = f"{version.key} {wanted.deal}"
            if time.monotonic() < self._refused.get(key, 0.0):
                continue
            try:
                self._send(root, worker, wanted, version)
            except ConsoleRefused as error:
                log.warning("deal_file_refused", file=wanted.name, deal=wanted.deal, reason=str(error))
                self._refused[key] = time.monotonic() + AGAIN_S
            except OSError as error:
                log.warning("deal_file_not_read", file=wanted.name, reason=str(error))

    def _send(self, root: int, worker: str, wanted: WantedFile, version: FileVersion) -> None:
        with os.fdopen(open_inside(root, wanted.name), "rb") as file:
            if version_of(os.fstat(file.fileno())) == version:
                self.console.deal_file_upload(worker, wanted, file)
                log.info("deal_file_sent", file=wanted.name, deal=wanted.deal)

    def _memo_read(self) -> dict[str, str]:
        try:
            read = json.loads(self.memo.read_text())
        except (OSError, ValueError):  # none yet, or a broken one: all is computed anew
            return {}
        return {str(key): str(cid) for key, cid in read.items()} if isinstance(read, dict) else {}

    def _memo_write(self) -> None:
        part = self.memo.with_suffix(".part")
        with suppress(OSError):  # a full disk: it is computed anew after a restart
            part.write_text(json.dumps({key: cid for key, cid in self._known.items() if cid}))
            sync_file(part)
            part.rename(self.memo)
            sync_folder(self.memo.parent)


def open_inside(root: int, name: str) -> int:
    """Open a regular file of the open folder `root` for reading.  Raises OSError, also for a link."""
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=root)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(f"{name} is no file")
    return file
