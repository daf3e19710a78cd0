"""What hosts find in their sealing folders: nothing that a sector needs is ever offered, or removed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import to_builtins

from apps.messages.models import Recovery
from apps.sectors.models import HostReport, Sector, Worker, WorkerCommand
from apps.sectors.services.hosts.commands import commands_open
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from apps.sectors.services.hosts.leftovers import (
    BadLeftovers,
    sealing_leftovers_list,
    sealing_leftovers_plan,
    sealing_leftovers_remove,
)
from apps.sectors.services.stores import leftover_removals
from apps.sectors.services.stores.moves import changes_open
from apps.users.models import AuditEntry
from poolsite.wire.commands import Operation
from poolsite.wire.hosts import Heartbeat, SealingLeftover
from tests import factories, people
from tests.unit.apps.sectors.sealing import NOON, host

pytestmark = pytest.mark.django_db

FOLDER = "/nvme/sealing"


def told(worker: Worker, *numbers: int, miner_id: int = 1000) -> None:
    """The host tells of sectors in its sealing folder."""
    found = tuple(
        SealingLeftover(miner_id=miner_id, number=number, folder=FOLDER, size=1 << 30) for number in numbers
    )
    worker_heartbeat(worker, heartbeat=Heartbeat(boot_id=worker.boot_id, leftovers=found), now=NOON)


def work(
    monkeypatch: pytest.MonkeyPatch, *, live: Iterable[int] = (), precommitted: Iterable[int] = ()
) -> Any:
    """What asks the chain, which has these."""
    promised = set(precommitted)
    monkeypatch.setattr(leftover_removals, "live_sectors_read", lambda *_, **__: dict.fromkeys(live))
    monkeypatch.setattr(
        leftover_removals,
        "precommits_read",
        lambda _client, _miner, numbers, _key: {one: True if one in promised else None for one in numbers},
    )
    return SimpleNamespace(client=None, head=SimpleNamespace(key=""), now=NOON)


def ids(*numbers: int) -> list[str]:
    return [f"{FOLDER}/s-t01000-{number}" for number in numbers]


def refusals(worker: Worker, asked: Any) -> dict[int, str]:
    return {one.leftover.number: one.refusal for one in sealing_leftovers_plan(worker, ids=None, work=asked)}


def orders() -> list[dict[str, str]]:
    rows = WorkerCommand.objects.filter(op=Operation.REMOVE_SEALING).order_by("pk")
    return [row.args for row in rows]


def begun(state: str, **facts: Any) -> Sector:
    return factories.sector(factories.miner(actor_id=1000), state=state, **facts)


def test_what_nobody_knows_is_removed_with_approval_and_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, asked = host(), work(monkeypatch)
    factories.miner(actor_id=1000)
    told(worker, 7, 8)

    plan = sealing_leftovers_remove(
        worker, ids=ids(7), by=people.principal("alice"), work=asked, reason="full", count=1
    )

    assert [one.refusal for one in plan] == [""]
    assert orders() == [{"folder": FOLDER, "miner_id": "1000", "number": "7"}]
    entry = AuditEntry.objects.get(action="worker.remove_leftovers")
    assert entry.after == {"sectors": ids(7), "bytes": 1 << 30, "reason": "full"}
    assert refusals(worker, asked) == {7: "it is being removed", 8: ""}
    (command,) = commands_open(worker, now=NOON)
    done = Heartbeat(boot_id=worker.boot_id, done_commands=(command.id,), leftovers=())
    assert worker_heartbeat(worker, heartbeat=done, now=NOON).commands == ()
    assert sealing_leftovers_list(worker) == []


def test_what_a_host_could_not_remove_can_be_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker, asked = host(), work(monkeypatch)
    factories.miner(actor_id=1000)
    told(worker, 7)
    sealing_leftovers_remove(worker, ids=ids(7), by=people.principal("alice"), work=asked)
    (command,) = commands_open(worker, now=NOON)

    failed = {command.id: "the disk is read-only"}
    beat = Heartbeat(boot_id=worker.boot_id, done_commands=(command.id,), command_errors=failed)
    worker_heartbeat(worker, heartbeat=beat, now=NOON)

    (one,) = sealing_leftovers_list(worker)
    assert (one.error, one.is_ordered) == ("the disk is read-only", False)
    assert refusals(worker, asked) == {7: ""}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("ALLOCATED", "it is being sealed"),
        ("PC1_DONE", "it is being sealed"),
        ("COMMIT_LANDED", "it is being sealed"),
        ("TERMINATED", "Remove files"),
        ("ABORTED", ""),
    ],
)
def test_what_is_being_sealed_anywhere_is_not_offered(
    monkeypatch: pytest.MonkeyPatch, state: str, words: str
) -> None:
    worker, other = host(), host("u2")
    sector = begun(state, held_by=other) if state not in ("ABORTED", "TERMINATED") else begun(state)
    told(worker, sector.number)

    refusal = refusals(worker, work(monkeypatch))[sector.number]

    assert words in refusal
    assert bool(refusal) is bool(words)
    if words:
        with pytest.raises(BadLeftovers):
            sealing_leftovers_remove(
                worker, ids=ids(sector.number), by=people.principal("alice"), work=work(monkeypatch)
            )
        assert orders() == []


@pytest.mark.parametrize("how", ["live", "precommitted"])
def test_what_the_chain_has_is_not_offered(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    worker = host()
    aborted = begun("ABORTED")
    told(worker, aborted.number, 77)

    known: Any = {how: (aborted.number, 77)}

    assert set(refusals(worker, work(monkeypatch, **known)).values()) == {"the sector is on chain"}


def test_a_proven_sectors_leftover_waits_for_its_own_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker, asked = host(), work(monkeypatch)
    lost = begun("PROVING", store="")
    told(worker, lost.number)

    assert refusals(worker, asked) == {lost.number: "it is not recorded in any store: adopt it here"}


def test_a_strangers_miner_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = host()
    factories.miner(actor_id=1000, of="bob")
    told(worker, 7)

    assert "is not a miner of alice: remove it on the host" in refusals(worker, work(monkeypatch))[7]


def test_while_sectors_are_read_back_nothing_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, asked = host(), work(monkeypatch)
    factories.miner(actor_id=1000)
    told(worker, 7)
    sealing_leftovers_remove(worker, ids=ids(7), by=people.principal("alice"), work=asked)
    Recovery.objects.update_or_create(defaults={"sectors_since": NOON, "restored_at": NOON})

    assert "read back after a restore" in refusals(worker, asked)[7]
    assert commands_open(worker, now=NOON) == (), "an order of before the restore is withdrawn"
    assert orders() == []


def test_an_order_is_withdrawn_when_its_sector_is_wanted_by_then(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, asked = host(), work(monkeypatch)
    sector = begun("ABORTED")
    told(worker, sector.number)
    sealing_leftovers_remove(worker, ids=ids(sector.number), by=people.principal("alice"), work=asked)
    assert len(commands_open(worker, now=NOON)) == 1, "asked again and again until it is done"
    assert len(commands_open(worker, now=NOON + timedelta(hours=9))) == 1
    assert "has yet to remove a leftover" in changes_open([sector])[sector.pk]

    type(sector).objects.filter(pk=sector.pk).update(state="PC1_DONE")

    assert commands_open(worker, now=NOON) == ()


def test_no_news_keeps_what_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = host()
    factories.miner(actor_id=1000)
    told(worker, 7)

    worker_heartbeat(worker, heartbeat=Heartbeat(boot_id=worker.boot_id), now=NOON)

    assert HostReport.objects.get().leftovers == [
        to_builtins(SealingLeftover(miner_id=1000, number=7, folder=FOLDER, size=1 << 30))
    ]
    with pytest.raises(BadLeftovers, match="the host reports none of them"):
        sealing_leftovers_plan(worker, ids=ids(9), work=work(monkeypatch))


def test_another_number_than_was_confirmed_removes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, asked = host(), work(monkeypatch)
    factories.miner(actor_id=1000)
    told(worker, 7)

    with pytest.raises(BadLeftovers, match="now applies to 1 leftover, not 2"):
        sealing_leftovers_remove(worker, ids=ids(7), by=people.principal("alice"), work=asked, count=2)

    assert orders() == []
