"""A host whose token is refused while it runs: a renewed one is taken up, and until then it waits calmly."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from poolsite.wire.codec import document_encode
from poolsite.wire.hosts import Heartbeat, HeartbeatAnswer
from workers.console import token_auth
from workers.console.client import Console
from workers.console.refusals import ConsoleAway
from workers.console.token_auth import PAUSE_S

REFUSAL = {"code": "token_refused", "message": "this token has expired", "field": ""}
BEAT = Heartbeat(boot_id="b1")


@dataclass
class Pool(httpx.BaseTransport):
    """A console that takes one token, a host's file of its token, and the hour."""

    file: Path
    accepted: str = "old"
    asked: list[str] = field(default_factory=list)
    now: float = 1_000.0

    def __post_init__(self) -> None:
        self.file.write_text("old\n")
        self.console = Console("https://pool.example", "old", token_file=self.file)
        self.console._client.close()
        self.console._client = httpx.Client(
            base_url="https://pool.example",
            auth=self.console.auth,
            transport=self,
        )

    def monotonic(self) -> float:
        return self.now

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self.asked.append(token)
        if token != self.accepted:
            return httpx.Response(401, json=REFUSAL)
        return httpx.Response(200, json=document_encode(HeartbeatAnswer()))

    def beat(self) -> None:
        self.console.heartbeat("w", BEAT)


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pool:
    made = Pool(tmp_path / "token")
    monkeypatch.setattr(token_auth, "time", made)
    return made


def test_renewed_token_is_taken_up_by_the_request_that_needs_it(pool: Pool) -> None:
    pool.beat()
    pool.accepted = "new"
    pool.file.write_text("new\n")

    pool.beat()

    assert pool.asked == ["old", "old", "new"]
    assert pool.console.auth.token() == "new"


def test_refused_token_is_logged_once_and_asked_about_seldom(pool: Pool) -> None:
    pool.accepted = "new"
    with capture_logs() as lines:
        for _ in range(60):
            with pytest.raises(ConsoleAway, match="does not accept this token: this token has expired"):
                pool.beat()
            pool.now += 1.0

    assert len(pool.asked) == 60 / PAUSE_S
    (told,) = lines
    assert (told["event"], told["reason"]) == ("token_refused", "this token has expired")
    assert str(pool.file) in told["advice"]


def test_token_renewed_during_the_pause_is_tried_at_once(pool: Pool) -> None:
    pool.accepted = "new"
    with pytest.raises(ConsoleAway):
        pool.beat()

    pool.file.write_text("new\n")
    with capture_logs() as lines:
        pool.beat()

    assert [one["event"] for one in lines] == ["token_renewed", "token_accepted"]


def test_token_that_is_accepted_again_ends_the_pause(pool: Pool) -> None:
    pool.accepted = ""
    with pytest.raises(ConsoleAway):
        pool.beat()
    pool.accepted = "old"
    pool.now += PAUSE_S

    pool.beat()
    pool.beat()

    assert pool.asked == ["old"] * 3


@pytest.mark.parametrize("text", ["", None])
def test_token_file_that_cannot_be_read_leaves_the_token(pool: Pool, text: str | None) -> None:
    pool.file.unlink() if text is None else pool.file.write_text(text)

    pool.beat()

    assert pool.console.auth.token() == "old"


def test_upload_that_met_a_renewed_token_is_tried_again_later(pool: Pool, tmp_path: Path) -> None:
    pool.accepted = "new"
    pool.file.write_text("new\n")
    (tmp_path / "unsealed").write_bytes(b"x")

    with pytest.raises(ConsoleAway):
        pool.console.data_upload("j", tmp_path / "unsealed", token=1)
    pool.console.data_upload("j", tmp_path / "unsealed", token=1)

    assert pool.asked == ["old", "new"]
