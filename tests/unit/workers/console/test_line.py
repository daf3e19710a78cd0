"""The worker's line to the console: what it costs to open one, another version's console, a download."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from poolsite.wire.codec import document_encode
from poolsite.wire.hosts import VERSION, Heartbeat, HeartbeatAnswer, Register, Registered
from poolsite.wire.job_reports import Release
from poolsite.wire.jobs import Claim, Claimed, JobKind, Work
from workers.console import client, repeats
from workers.console.client import VERSIONS_PAUSE_S, Console, tls_context
from workers.console.refusals import ConsoleAway, Replaced, VersionsDiffer

CLAIM = Claim(worker_id="w", boot_id="b1", kinds=(JobKind.SEAL,), stages={}, max=1)
BEAT = Heartbeat(boot_id="b1")
OLD: dict[str, Any] = {"code": "bad_value", "message": "unknown field", "field": "leftovers"}
"""What a console says that does not know of versions yet."""
UNDERSTOOD = 200, document_encode(HeartbeatAnswer())


@dataclass
class Line:
    """A line to a console whose answer the test lays ready, at an hour that it sets."""

    console: Console
    answer: tuple[int, Any]
    asked: list[str] = field(default_factory=list)
    now: float = 1_000.0
    handled: Callable[[httpx.Request], httpx.Response] | None = None
    """What answers instead."""

    def monotonic(self) -> float:
        return self.now

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        if self.handled is not None:
            return self.handled(request)
        return httpx.Response(self.answer[0], json=self.answer[1])


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    made = Line(Console("https://pool.example", "one"), UNDERSTOOD)
    made.console.close()
    made.console._client = httpx.Client(
        base_url="https://pool.example", transport=httpx.MockTransport(made.handle)
    )
    monkeypatch.setattr(client, "time", made)
    monkeypatch.setattr(repeats, "time", made)
    yield made
    made.console.close()


def test_an_older_console_is_asked_for_work_without_a_time(line: Line) -> None:
    asked: list[bytes] = []

    def older(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.query)
        if request.url.query:
            refusal = {"code": "bad_value", "message": "there is no such filter", "field": "wait"}
            return httpx.Response(400, json=refusal)
        return httpx.Response(200, json=document_encode(Work(is_free=True)))

    line.handled = older

    assert line.console.work_wait("w", wait_s=25)
    assert asked == [b"wait=25", b""]


def test_another_refusal_of_the_question_for_work_is_raised(line: Line) -> None:
    line.answer = 404, {"code": "worker_unknown", "message": "there is no such host", "field": ""}

    with pytest.raises(Replaced):
        line.console.work_wait("w", wait_s=25)
    assert len(line.asked) == 1


def test_the_lines_of_a_process_read_the_authorities_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    real = ssl.create_default_context

    def counted(*args: Any, **more: Any) -> ssl.SSLContext:
        read.append(args)
        return real(*args, **more)

    tls_context.cache_clear()
    monkeypatch.setattr(ssl, "create_default_context", counted)
    for opened in (Console("https://pool.example", "one"), Console("https://pool.example", "two")):
        opened.close()

    assert len(read) == 1
    assert tls_context().verify_mode is ssl.CERT_REQUIRED


def test_an_older_console_is_logged_once_with_the_remedy_and_asked_seldom(line: Line) -> None:
    line.answer = 400, OLD
    with capture_logs() as lines:
        for _ in range(60):
            with pytest.raises(VersionsDiffer, match="upgrade the console first"):
                line.console.heartbeat("w", BEAT)
            line.now += 1.0

    assert len(line.asked) == 2
    (told,) = (one for one in lines if one["event"] == "console_does_not_understand")
    assert told["reason"] == (
        f"unknown field: this host is newer ({VERSION}) than the console: "
        "upgrade the console first (leftovers)"
    )


def test_a_console_that_is_away_is_logged_once_until_it_answers(line: Line) -> None:
    with capture_logs() as lines:
        for status in (503, 503, 503, 502, 200, 503):
            line.answer = status, UNDERSTOOD[1]
            with suppress(ConsoleAway):
                line.console.heartbeat("w", BEAT)

    assert [(one["event"], one.get("reason", "")[-3:]) for one in lines] == [
        ("console_away", "503"),
        ("console_away", "502"),
        ("console_answers", ""),
        ("console_away", "503"),
    ]


def test_an_outage_is_logged_again_after_ten_minutes(line: Line) -> None:
    line.answer = 503, {}
    with capture_logs() as lines:
        for _ in range(130):
            with pytest.raises(ConsoleAway):
                line.console.heartbeat("w", BEAT)
            line.now += 10.0

    assert [one["event"] for one in lines] == ["console_away"] * 3


def test_another_server_and_http_for_https_are_named(line: Line) -> None:
    def no_tls(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[SSL: WRONG_VERSION_NUMBER] wrong version number")

    line.handled = lambda _request: httpx.Response(404, text="<html>")
    with pytest.raises(ConsoleAway, match="jobs:claim answers 404, but not as a console"):
        line.console.claim(CLAIM)
    line.handled = no_tls
    with pytest.raises(ConsoleAway, match="nothing there speaks https; is it http://"):
        line.console.claim(CLAIM)


def test_what_the_console_says_of_versions_is_kept(line: Line) -> None:
    line.answer = 400, OLD | {"message": "unknown field: this host runs poolsite/0.1.0: upgrade the host"}

    with pytest.raises(VersionsDiffer, match=r"poolsite/0.1.0: upgrade the host \(leftovers\)$"):
        line.console.heartbeat("w", BEAT)


def test_nothing_is_begun_until_the_console_has_followed(line: Line) -> None:
    line.answer = 400, OLD
    with pytest.raises(VersionsDiffer):
        line.console.heartbeat("w", BEAT)
    line.answer = 204, None
    line.console.release("j", Release(token=1))
    was_behind = line.console.is_behind

    line.now += VERSIONS_PAUSE_S
    line.answer = UNDERSTOOD
    with capture_logs() as lines:
        line.console.heartbeat("w", BEAT)
    assert (was_behind, line.console.is_behind) == (True, False), (
        "another request than the heartbeat was understood"
    )
    assert [one["event"] for one in lines] == ["console_understands"]


def test_a_report_that_is_repeated_no_more_does_not_close_the_claims(line: Line) -> None:
    line.answer = 400, OLD
    with pytest.raises(VersionsDiffer):
        line.console.release("j", Release(token=1))
    line.now += 2 * VERSIONS_PAUSE_S

    assert not line.console.is_behind


def test_a_newer_consoles_answer_is_logged_once_with_the_remedy(line: Line) -> None:
    claim = Claim(worker_id="w", boot_id="b1", kinds=(JobKind.SEAL,), stages={})
    line.answer = 200, document_encode(Claimed()) | {"colour": "red"}
    with capture_logs() as lines:
        for _ in range(60):
            with pytest.raises(VersionsDiffer):
                line.console.claim(claim)
            line.now += 1.0
    assert (len(line.asked), line.console.is_behind) == (2, True)

    line.answer = 200, document_encode(Claimed())
    assert line.console.claim(claim) == Claimed()
    reason = f"this host ({VERSION}) is older than the console: upgrade the host (unknown field colour)"
    assert [(one["event"], one["reason"]) for one in lines] == [("console_is_newer", reason)]


def test_a_newer_console_registers_an_older_host(line: Line) -> None:
    told = Registered(worker_id="w", heartbeat_s=20, lease_s=90, poll_ms=1000)
    line.answer = 200, document_encode(told) | {"colour": "red"}

    assert (
        line.console.register(
            Register(uid="u", boot_id="b", name="n", host="h", version="v", kinds=(JobKind.SEAL,))
        )
        == told
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [({"code": "disk_full", "message": "free up space", "field": ""}, "503: free up space"), (["x"], "503")],
)
def test_what_is_to_be_tried_later_names_the_reason(line: Line, tmp_path: Path, data: Any, said: str) -> None:
    line.answer = 503, data
    (tmp_path / "unsealed").write_bytes(b"x")

    with pytest.raises(ConsoleAway, match=f"status {said}$"):
        line.console.data_upload("j", tmp_path / "unsealed", token=1)


def test_a_download_is_on_the_disk_before_it_has_its_name(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    real = os.fsync

    def fsync(file: int) -> None:
        names.append(os.readlink(f"/proc/self/fd/{file}"))
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    line.answer = 200, "piece"
    path = tmp_path / "piece"

    line.console.piece_fetch("baga", path, size=len(b'"piece"'))

    assert names == [f"{path}.part", str(tmp_path)]
    assert path.read_bytes() == b'"piece"'


@pytest.mark.parametrize("kept", [0, 3, 6, 8], ids=["from nothing", "resumed", "all but its zeros", "longer"])
@pytest.mark.parametrize("size", [4, 6, 9], ids=["fewer", "as many", "more"])
def test_a_piece_may_be_there_with_other_zeros_behind_it(
    line: Line, tmp_path: Path, kept: int, size: int
) -> None:
    data = b"data\0\0"

    def handled(request: httpx.Request) -> httpx.Response:
        at = int(request.headers.get("Range", "bytes=0-")[6:-1])
        if not at:
            return httpx.Response(200, content=data)
        if at >= len(data):
            return httpx.Response(416, headers={"Content-Range": f"bytes */{len(data)}"})
        span = f"bytes {at}-{len(data) - 1}/{len(data)}"
        return httpx.Response(206, content=data[at:], headers={"Content-Range": span})

    line.handled = handled
    (tmp_path / "piece.part").write_bytes((data + bytes(3))[:kept])
    for _ in range(2):
        with suppress(ConsoleAway):  # what cannot go on is begun anew
            line.console.piece_fetch("baga", tmp_path / "piece", size=size)
            break

    assert (tmp_path / "piece").read_bytes() == (data + bytes(3))[:size]


def test_a_piece_that_is_being_unsealed_is_waited_for(line: Line, tmp_path: Path) -> None:
    line.answer = 202, {"piece_cid": "baga"}
    (tmp_path / "piece.part").write_bytes(b"da")

    with pytest.raises(ConsoleAway, match="baga is being unsealed"):
        line.console.piece_fetch("baga", tmp_path / "piece", size=6)

    assert (tmp_path / "piece.part").read_bytes() == b"da"
