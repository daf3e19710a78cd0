"""Old draws and votes are removed from the records; what protects from a second signature never is."""

from __future__ import annotations

import sqlite3
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from poolsite.filecoin.message import message_to_cbor
from poolsite.wire.origins import Origin
from tests.unit.workers.signer.signing import SENDER, message, sign
from tests.unit.workers.signer.slash_protection import block
from tests.unit.workers.signer.slash_protection import sign as block_sign
from workers.signer import records_pruning, run_command
from workers.signer.errors import AlreadySigned
from workers.signer.message_payloads import message_request
from workers.signer.origins import SignedBefore, origin_check
from workers.signer.records import Records, Verdict
from workers.signer.records_pruning import prune
from workers.signer.sign_request import DRAW_RANDOM, FINALITY, SignRequest

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
OLD = NOW - timedelta(days=100)
BEFORE = NOW - timedelta(days=90)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_pruning, "PAUSE_S", 0.0)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    made = Records(tmp_path / "records.sqlite")
    yield made
    made.close()


def write(records: Records, kind: str, *, at: datetime = OLD, error: str = "") -> None:
    request = SignRequest(kind, SENDER, b"", raw=b"x")
    records.write(request, Verdict("" if error else "r", "digest", error), caller="test", now=at)


def pruned(records: Records, path: Path) -> int:
    return prune(path / "records.sqlite", before=BEFORE, stopped=threading.Event())


def rows(records: Records, columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in records.link.execute(f"SELECT {columns} FROM record ORDER BY seq")]


def test_old_draws_and_votes_alone_are_removed(records, tmp_path):
    for kind in (DRAW_RANDOM, FINALITY, "message", "block", DRAW_RANDOM, "unknown", FINALITY):
        write(records, kind)
    write(records, DRAW_RANDOM, error="no rule allows it")
    write(records, DRAW_RANDOM, at=BEFORE)
    write(records, "message", at=NOW)

    removed = pruned(records, tmp_path)

    assert removed == 4
    kept = ["message", "block", "unknown", DRAW_RANDOM, DRAW_RANDOM, "message"]
    assert [kind for (kind,) in rows(records, "type")] == kept
    assert records.chain_verify() is None


def test_rows_removed_from_day_to_day_leave_one_line_for_each_gap(records, tmp_path):
    for kind in (*(DRAW_RANDOM,) * 50, "message", *(DRAW_RANDOM,) * 50):
        write(records, kind)
    assert pruned(records, tmp_path) == 99, "the newest row stays: the next one continues its hash"
    for _ in range(30):
        write(records, DRAW_RANDOM)
    assert pruned(records, tmp_path) == 30

    assert [tuple(row) for row in records.link.execute("SELECT first, last FROM pruned")] == [
        (1, 50),
        (52, 130),
    ]
    assert rows(records, "seq") == [(51,), (131,)]
    write(records, "message")
    assert records.chain_verify() is None


def test_chain_shows_a_row_that_was_not_removed_by_pruning(records, tmp_path):
    for kind in (DRAW_RANDOM, "message", DRAW_RANDOM, "message"):
        write(records, kind)
    pruned(records, tmp_path)

    records.link.execute("DROP TRIGGER record_no_loss")
    records.link.execute("DELETE FROM record WHERE seq = 2")

    assert records.chain_verify() == 4


@pytest.mark.parametrize(
    ("kind", "error", "is_noted"),
    [("message", "", True), ("block", "", True), (DRAW_RANDOM, "refused", True), (DRAW_RANDOM, "", False)],
)
def test_file_refuses_to_lose_any_other_row(records, kind, error, is_noted):
    write(records, kind, error=error)
    if is_noted:
        records.link.execute("INSERT INTO pruned VALUES (1, 1, '', 'x')")

    with pytest.raises(sqlite3.DatabaseError, match="append-only"):
        records.link.execute("DELETE FROM record")


def test_second_signatures_stay_refused(signer):
    block_sign(signer, block(100, b"one"))
    one, origin = message(), Origin(id="m1", pool="p")
    request = message_request(one, SENDER, raw=message_to_cbor(one))
    signer.records.write(request, Verdict("r", ""), caller="test", now=OLD, origin=origin)
    write(signer.records, DRAW_RANDOM)
    write(signer.records, DRAW_RANDOM)

    path = signer.folder / "records.sqlite"
    assert prune(path, before=NOW + timedelta(days=10**4), stopped=threading.Event()) == 1

    with pytest.raises(AlreadySigned, match="double-fork fault"):
        block_sign(signer, block(100, b"two"))
    other = message(nonce=1)
    second = message_request(other, SENDER, raw=message_to_cbor(other))
    with pytest.raises(SignedBefore):
        origin_check(signer.records.link, second, origin)


def test_removal_that_fails_leaves_all_as_it_was(records, tmp_path):
    for _ in range(3):
        write(records, DRAW_RANDOM)
    records.link.execute(
        "CREATE TRIGGER other BEFORE DELETE ON record BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )

    with pytest.raises(sqlite3.Error, match="disk full"):
        pruned(records, tmp_path)

    assert records.link.execute("SELECT COUNT(*) FROM pruned").fetchone()[0] == 0
    assert records.chain_verify() is None


def test_file_of_an_older_signer_is_pruned_too(records, tmp_path):
    records.link.execute(
        "CREATE TRIGGER record_no_delete BEFORE DELETE ON record"
        " BEGIN SELECT RAISE(ABORT, 'records are append-only'); END"
    )
    write(records, DRAW_RANDOM)
    write(records, "message")

    assert pruned(records, tmp_path) == 1


def test_signer_prunes_at_start_and_signs_meanwhile(signer, monkeypatch):
    for _ in range(100):
        write(signer.records, DRAW_RANDOM, at=datetime.now(UTC) - timedelta(days=100))
    write(signer.records, "message")

    async def serve(*_given: object) -> None:
        sign(signer, message())
        deadline = time.monotonic() + 60
        while rows(signer.records, "seq")[0] != (101,):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        sign(signer, message(nonce=1))

    monkeypatch.setattr(run_command, "run_until_stopped", serve)
    monkeypatch.setattr(run_command, "logs_set_up", lambda _: None)
    monkeypatch.setattr(signer, "close", lambda: None)
    monkeypatch.setattr(run_command, "Signer", lambda _folder: signer)

    assert run_command.run(Namespace(dir=signer.folder, locked=True)) == 0

    assert [seq for (seq,) in rows(signer.records, "seq")] == [101, 102, 103]
    assert signer.records.chain_verify() is None
