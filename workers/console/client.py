"""The console as a worker sees it: a few requests over HTTPS, whose refusals are told apart.

What they say is in `poolsite.wire`; docs/sealing/lifecycle.md, “Who does a stage”, has it in words.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar

import httpx
import structlog

from poolsite.tracing import trace_header
from poolsite.wire.cleartext import is_clear
from poolsite.wire.codec import UNKNOWN_FIELD, BadWire, document_decode, document_send
from poolsite.wire.deal_files import FolderAnswer
from poolsite.wire.hosts import VERSION, HeartbeatAnswer, Registered
from poolsite.wire.job_reports import EventAnswer
from poolsite.wire.jobs import Claimed, Work
from workers.console.refusals import (
    ConsoleAway,
    ConsoleNewer,
    ConsoleRefused,
    TokenNotAccepted,
    VersionsDiffer,
    reason_of,
    refusal_of,
)
from workers.console.repeats import Repeats
from workers.console.token_auth import TokenAuth
from workers.storage.files import sync_file, sync_folder

if TYPE_CHECKING:
    from poolsite.wire.deal_files import FolderReport, WantedFile
    from poolsite.wire.hosts import Heartbeat, Register
    from poolsite.wire.job_reports import Complete, Event, Fail, Release
    from poolsite.wire.jobs import Claim

log = structlog.get_logger(__name__)

TIMEOUT_S: Final = 15.0
"""For one request; a console that needs longer is treated as away and asked again."""

KEPT_S: Final = 20.0
"""How long an idle connection is kept: from one heartbeat to the next, and less than the console keeps it."""

CHUNK_BYTES: Final = 1 << 20
UPLOAD_S: Final = 1_800.0
"""For the console to take unsealed bytes: it computes their commitment before it answers."""
VERSIONS_PAUSE_S: Final = 30.0
"""Pause before the console is asked again what it does not understand until one side is upgraded."""

NEWER: Final = f"this host ({VERSION}) is older than the console: upgrade the host (unknown field {{field}})"
NO_TLS: Final = "WRONG_VERSION_NUMBER"
NO_TLS_TEXT: Final = ": nothing there speaks https; is it http://?"

T = TypeVar("T")


def _unchanged(data: Any) -> Any:
    """Return what the console answered."""
    return data


@cache
def tls_context() -> ssl.SSLContext:
    """Return the TLS context of all connections: loading the authorities takes 0.1 s of a core."""
    return httpx.create_ssl_context()


class Console:
    """One worker's connection to the console; safe to use from several threads."""

    def __init__(self, url: str, token: str, *, token_file: Path | None = None) -> None:
        """Open it; a refused token is read again from `token_file`, if that is given."""
        self.url = url
        self.auth = TokenAuth(url, token, token_file)
        if is_clear(url):
            log.warning("token_sent_in_clear", url=url, advice="use an https:// address for the console")
        self._client = httpx.Client(
            base_url=url,
            auth=self.auth,
            timeout=TIMEOUT_S,
            limits=httpx.Limits(keepalive_expiry=KEPT_S),
            verify=tls_context(),
        )
        self._differs: dict[type, tuple[float, str]] = {}
        """Requests that one of the two sides does not understand: until when they wait, and why."""
        self._outages = Repeats()

    @property
    def is_behind(self) -> bool:
        """Return whether a request or its answer was lately not understood: nothing is begun meanwhile."""
        return any(time.monotonic() < until + VERSIONS_PAUSE_S for until, _why in self._differs.values())

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def join(self, *, uid: str, name: str) -> tuple[str, int]:
        """Return the host's own token in exchange for the join token of this connection.

        With it the sector size of the pool's miners; 0 where the console does not tell.
        """
        answer = self._post("/api/v1/workers:join", {"uid": uid, "name": name})
        if not isinstance(answer, dict) or not isinstance(answer.get("token"), str):
            log.warning("console_unread", path="/api/v1/workers:join", reason="there is no token in it")
            raise ConsoleAway("the console's response contains no token")
        size = answer.get("sector_bytes")
        return str(answer["token"]), size if isinstance(size, int) else 0

    def register(self, register: Register) -> Registered:
        """Register this start of the worker."""
        return self._ask("/api/v1/workers/register", register, Registered, ignores_unknown=True)

    def heartbeat(self, worker_id: str, heartbeat: Heartbeat) -> HeartbeatAnswer:
        """Renew all leases at once; a newer console may tell more than this worker knows of."""
        path = f"/api/v1/workers/{worker_id}/heartbeat"
        return self._ask(path, heartbeat, HeartbeatAnswer, ignores_unknown=True)

    def claim(self, claim: Claim) -> Claimed:
        """Claim work."""
        return self._ask("/api/v1/jobs:claim", claim, Claimed)

    def work_wait(self, worker_id: str, *, wait_s: int = 0) -> bool:
        """Return whether there may be work: at once if so, else when the console has waited so long.

        0: for as long as the console does by itself, as one does of a version that takes no such time.
        """
        query = f"?wait={wait_s}" if wait_s else ""
        path = f"/api/v1/workers/{worker_id}/work{query}"
        try:
            answer = self._client.get(path, timeout=TIMEOUT_S + wait_s)
            return document_decode(Work, _read(answer)).is_free
        except ConsoleRefused as error:
            if not wait_s or error.field != "wait":
                raise
            return self.work_wait(worker_id)  # an older console, beside or after the one that registered us
        except httpx.HTTPError as error:
            raise ConsoleAway(f"the console {self.url} does not answer: {type(error).__name__}") from None
        except BadWire as error:
            raise ConsoleAway(f"the console's response cannot be read: {error}") from None

    def event(self, job_id: str, event: Event) -> EventAnswer:
        """Report the end of a stage."""
        return self._ask(f"/api/v1/jobs/{job_id}/event", event, EventAnswer)

    def complete(self, job_id: str, complete: Complete) -> None:
        """Report a proof."""
        self._post(f"/api/v1/jobs/{job_id}/complete", complete)

    def fail(self, job_id: str, fail: Fail) -> None:
        """Report a failure."""
        self._post(f"/api/v1/jobs/{job_id}/fail", fail)

    def release(self, job_id: str, release: Release) -> None:
        """Release a job."""
        self._post(f"/api/v1/jobs/{job_id}/release", release)

    def piece_fetch(self, piece_cid: str, path: Path, *, size: int) -> None:
        """Download a piece's raw bytes; what an earlier call has got is not fetched again.

        Raises ConsoleAway, ConsoleRefused, OSError.
        """
        part = path.with_name(f"{path.name}.part")
        at = part.stat().st_size if part.exists() else 0
        whole = size
        if at < size:
            headers = {"Range": f"bytes={at}-"} if at else {}
            try:
                with self._client.stream(
                    "GET", f"/api/v1/pieces/{piece_cid}/data", headers=headers
                ) as answer:
                    whole = _whole_size(answer, piece_cid) or size
                    if answer.status_code != 416:
                        with part.open("ab" if answer.status_code == 206 else "wb") as file:
                            for chunk in answer.iter_bytes(CHUNK_BYTES):
                                file.write(chunk)
            except httpx.HTTPError as error:
                raise ConsoleAway(
                    f"the download of {piece_cid} was interrupted: {type(error).__name__}"
                ) from None
        if (got := part.stat().st_size) not in (size, whole):
            part.unlink()
            raise ConsoleAway(f"received {got} of {size} bytes of {piece_cid}")
        os.truncate(part, size)  # the same data may be there with fewer, or more, of the zeros behind them
        _finish(part, path)

    def data_fetch(self, job_id: str, path: Path, *, token: int) -> None:
        """Download the output of C1 on another host.  Raises ConsoleAway, ConsoleRefused, OSError."""
        part = path.with_name(f"{path.name}.part")
        headers = {"Lease-Token": str(token)}
        try:
            with self._client.stream("GET", f"/api/v1/jobs/{job_id}/data", headers=headers) as answer:
                if answer.status_code >= 400:
                    answer.read()
                    _read(answer)
                with part.open("wb") as file:
                    for chunk in answer.iter_bytes(CHUNK_BYTES):
                        file.write(chunk)
                size = int(answer.headers.get("Content-Length", -1))
        except httpx.HTTPError as error:
            raise ConsoleAway(
                f"the download for job {job_id} was interrupted: {type(error).__name__}"
            ) from None
        if part.stat().st_size != size:
            raise ConsoleAway(f"received {part.stat().st_size} of {size} bytes for job {job_id}")
        _finish(part, path)

    def data_upload(self, job_id: str, path: Path, *, token: int) -> None:
        """Upload unsealed data, or the output of C1.  Raises ConsoleAway, ConsoleRefused, OSError."""
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            headers = {"Lease-Token": str(token), "Content-Length": str(size)}
            try:
                answer = self._client.put(
                    f"/api/v1/jobs/{job_id}/data", content=_chunks(file), headers=headers, timeout=UPLOAD_S
                )
            except httpx.HTTPError as error:
                raise ConsoleAway(
                    f"the upload for job {job_id} was interrupted: {type(error).__name__}"
                ) from None
        _read(answer)

    def deal_folder(self, worker_id: str, report: FolderReport) -> FolderAnswer:
        """Report the files of the folder of offline deals; the answer names those that are wanted."""
        return self._ask(f"/api/v1/workers/{worker_id}/deal-files", report, FolderAnswer)

    def deal_file_upload(self, worker_id: str, wanted: WantedFile, file: BinaryIO) -> None:
        """Send the bytes of such a file.  Raises ConsoleAway, ConsoleRefused, OSError."""
        headers = {"Content-Length": str(os.fstat(file.fileno()).st_size)}
        headers["Content-Type"] = "application/octet-stream"
        try:
            answer = self._client.put(
                f"/api/v1/workers/{worker_id}/deal-files/{wanted.deal}",
                params={"file_name": wanted.name},
                content=_chunks(file),
                headers=headers,
                timeout=UPLOAD_S,
            )
        except httpx.HTTPError as error:
            reason = f"the upload of {wanted.name} was interrupted: {type(error).__name__}"
            raise ConsoleAway(reason) from None
        _read(answer)

    def _ask(self, path: str, body: Any, kind: type[T], *, ignores_unknown: bool = False) -> T:
        def read(data: Any) -> T:
            try:
                return document_decode(kind, data, ignores_unknown=ignores_unknown)
            except BadWire as error:
                if error.reason == UNKNOWN_FIELD:
                    raise ConsoleNewer(NEWER.format(field=error.field)) from None
                raise ConsoleAway(f"the console's response cannot be read: {error}") from None

        answer: T = self._post(path, body, read=read)
        return answer

    def _post(self, path: str, body: Any, *, read: Callable[[Any], Any] = _unchanged) -> Any:
        until, why = self._differs.get(type(body), (0.0, ""))
        if time.monotonic() < until:
            raise VersionsDiffer(why)
        try:
            data = read(self._send(path, body))
        except VersionsDiffer as error:
            if str(error) != why:
                is_newer = isinstance(error, ConsoleNewer)
                event = "console_is_newer" if is_newer else "console_does_not_understand"
                log.error(event, path=path, reason=str(error))
            self._differs[type(body)] = (time.monotonic() + VERSIONS_PAUSE_S, str(error))
            self._answers_note(path, body)
            raise
        except (ConsoleRefused, TokenNotAccepted):
            self._answers_note(path, body)
            raise
        except ConsoleAway as error:
            if self._outages.is_news(type(body).__name__, str(error)):
                log.warning("console_away", path=path, reason=str(error))
            raise
        self._answers_note(path, body)
        if self._differs.pop(type(body), None):
            log.info("console_understands", path=path)
        return data

    def _send(self, path: str, body: Any) -> Any:
        content = body if isinstance(body, dict) else document_send(body)
        headers = {"traceparent": header} if (header := trace_header()) else {}
        try:
            answer = self._client.post(path, json=content, headers=headers)
        except httpx.HTTPError as error:
            text = f"the console {self.url} does not answer: {type(error).__name__} {error}".rstrip()
            raise ConsoleAway(text + (NO_TLS_TEXT if NO_TLS in text else "")) from None
        return _read(answer)

    def _answers_note(self, path: str, body: Any) -> None:
        if self._outages.end(type(body).__name__):
            log.info("console_answers", path=path)


def _whole_size(answer: httpx.Response, piece_cid: str) -> int:
    """Return how many bytes a piece has of which an answer has all, some or none; 0 if it does not say.

    Raises ConsoleAway, ConsoleRefused.
    """
    if answer.status_code == 202:
        raise ConsoleAway(f"{piece_cid} is being unsealed")
    if answer.status_code in (206, 416):
        return int(answer.headers.get("Content-Range", "0").rpartition("/")[2])
    if answer.status_code >= 400:
        answer.read()
        _read(answer)
    return int(answer.headers.get("Content-Length", 0))


def _finish(part: Path, path: Path) -> None:
    """Rename a download once it is on the disk: a power cut leaves no part of it under its final name."""
    sync_file(part)
    part.rename(path)
    sync_folder(path.parent)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _read(answer: httpx.Response) -> Any:
    """Return the JSON of an answer.  Raises ConsoleAway, ConsoleRefused."""
    if answer.status_code >= 500 or answer.status_code in (408, 425, 429):
        why = f": {reason}" if (reason := reason_of(answer)) else ""
        raise ConsoleAway(f"the console answered with status {answer.status_code}{why}")
    try:
        data = answer.json() if answer.content else None
    except ValueError:
        raise ConsoleAway(f"{answer.url} answers {answer.status_code}, but not as a console does") from None
    if answer.status_code >= 400:
        raise refusal_of(answer.status_code, data if isinstance(data, dict) else {})
    return data
