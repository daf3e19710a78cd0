"""What lies in sealing folders without a job is told, and removed only then; jobs keep what is theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from poolsite.wire.commands import Command, Operation
from tests.unit.workers.agent.removal import sector_write, until
from tests.unit.workers.agent.scripted_host import inputs
from workers.agent.journal import WORK, Work, journal_open
from workers.agent.places import SealingPlaces
from workers.agent.sealing_leftovers import ASIDE, SealingLeftovers
from workers.storage.store import Store
from workers.storage.stores import Stores


@pytest.fixture
def leftovers(tmp_path: Path) -> SealingLeftovers:
    store = Store(tmp_path / "store")
    stores = Stores(tmp_path, (store.root,))
    stores.open()
    journal = journal_open(tmp_path)
    return SealingLeftovers(places=SealingPlaces(tmp_path, journal), stores=stores, journal=journal)


def found(leftovers: SealingLeftovers) -> list[tuple[int, int]]:
    leftovers.read()
    return sorted((one.miner_id, one.number) for one in leftovers.reported() or ())


def order(leftovers: SealingLeftovers, number: int, *, folder: Path, id: str = "c") -> str | None:
    """Have a sector removed; gives why it could not be."""
    args = {"folder": str(folder), "miner_id": "1000", "number": str(number)}
    command = Command(id=id, op=Operation.REMOVE_SEALING, args=args)
    assert leftovers.order(command) is None
    answer: list[str] = []

    def is_done() -> bool:
        said = leftovers.order(command)
        answer.extend([] if said is None else [said])
        return bool(answer)

    until(is_done)
    return answer[-1]


def test_what_no_job_knows_is_told_with_its_bytes(leftovers: SealingLeftovers, tmp_path: Path) -> None:
    assert leftovers.reported() is None, "nobody has looked"
    sector_write(tmp_path, "s-t01000-1")
    sector_write(tmp_path, "s-t01000-7")
    (tmp_path / "sealing/cache/tree-d-of-zeros-2048").write_bytes(b"")
    (tmp_path / "sealing/cache/notes").write_text("a person's")
    leftovers.journal.work_write("j1", Work(token=1, inputs=inputs("PC1")))

    assert found(leftovers) == [(1000, 7)], "the job has sector 1"
    (one,) = leftovers.reported() or ()
    assert (one.folder, one.size) == (str(tmp_path / "sealing"), 6 * 8192)


def test_a_job_that_was_aborted_knows_nothing_any_more(leftovers: SealingLeftovers, tmp_path: Path) -> None:
    sector_write(tmp_path, "s-t01000-1")
    leftovers.journal.work_write("j1", Work(token=1, inputs=inputs("PC1")))
    leftovers.journal.removed_write("j1")

    assert found(leftovers) == [(1000, 1)]


def test_nothing_is_told_where_a_record_cannot_be_read(leftovers: SealingLeftovers, tmp_path: Path) -> None:
    sector_write(tmp_path, "s-t01000-1")
    leftovers.journal.work_write("j1", Work(token=1, inputs=inputs("PC1")))
    (leftovers.journal.folder("j1") / WORK).write_text("{")

    assert found(leftovers) == []
    assert order(leftovers, 7, folder=tmp_path / "sealing") == "j1"


def test_an_order_takes_one_sector_of_one_sealing_folder(leftovers: SealingLeftovers, tmp_path: Path) -> None:
    files, others = sector_write(tmp_path, "s-t01000-5"), sector_write(tmp_path, "s-t01000-50")
    stored = [file for file in files if (tmp_path / "store") in file.parents]

    assert order(leftovers, 5, folder=tmp_path / "sealing") == ""

    assert [file for file in files if file.exists()] == stored, "the store keeps its own"
    assert all(file.exists() for file in others)
    assert not (tmp_path / "sealing" / ASIDE).exists()
    assert found(leftovers) == [(1000, 50)]
    assert order(leftovers, 5, folder=tmp_path / "sealing", id="again") == "", "asked again, it is gone"


def test_a_sector_that_has_a_job_by_then_stays(leftovers: SealingLeftovers, tmp_path: Path) -> None:
    files = sector_write(tmp_path, "s-t01000-1")
    assert found(leftovers) == [(1000, 1)]
    leftovers.journal.work_write("j1", Work(token=1, inputs=inputs("PC1")))

    assert order(leftovers, 1, folder=tmp_path / "sealing") == "a job on this host is working on the sector"

    assert all(file.exists() for file in files)


def test_a_sector_of_a_job_that_the_console_never_had_may_go(
    leftovers: SealingLeftovers, tmp_path: Path
) -> None:
    for job_id in ("foreign", "broken"):
        leftovers.journal.work_write(job_id, Work(token=1, inputs=inputs("PC1")))
    (leftovers.journal.folder("broken") / WORK).write_text("{")
    sector_write(tmp_path, "s-t01000-1")
    leftovers.unknown_jobs = lambda: frozenset({"foreign", "broken", "gone"})

    assert found(leftovers) == [(1000, 1)]
    with leftovers.journal.at_work("foreign"):
        busy = order(leftovers, 1, folder=tmp_path / "sealing", id="busy")
    assert busy == "a process on this host is still working on the sector"
    assert leftovers.journal.jobs() == ["broken", "foreign"], "its record stays until its files go"

    assert order(leftovers, 1, folder=tmp_path / "sealing") == ""
    assert (found(leftovers), leftovers.journal.jobs()) == ([], ["broken"])


def test_a_sector_of_a_known_job_beside_an_unknown_one_stays(
    leftovers: SealingLeftovers, tmp_path: Path
) -> None:
    for job_id in ("foreign", "own"):
        leftovers.journal.work_write(job_id, Work(token=1, inputs=inputs("PC1")))
    sector_write(tmp_path, "s-t01000-1")
    leftovers.unknown_jobs = lambda: frozenset({"foreign"})

    assert found(leftovers) == []
    assert order(leftovers, 1, folder=tmp_path / "sealing") == "a job on this host is working on the sector"


def test_only_sealing_folders_of_the_host_are_touched(leftovers: SealingLeftovers, tmp_path: Path) -> None:
    files = sector_write(tmp_path, "s-t01000-5")

    refusal = order(leftovers, 5, folder=tmp_path / "store")

    assert refusal is not None
    assert "is not a sealing folder of this host at the moment" in refusal
    assert all(file.exists() for file in files)


@pytest.mark.parametrize("kind", ["cache", "sealed"])
def test_what_a_store_shares_by_a_link_stays(leftovers: SealingLeftovers, tmp_path: Path, kind: str) -> None:
    files = sector_write(tmp_path, "s-t01000-5")
    stored = tmp_path / "store" / kind / "s-t01000-5"
    sealing = tmp_path / "sealing" / kind / "s-t01000-5"
    stored.rename(stored.with_name("moved")) if stored.exists() else None
    stored.symlink_to(sealing)

    refusal = order(leftovers, 5, folder=tmp_path / "sealing")

    assert refusal is not None
    assert "are one" in refusal
    assert all(file.exists() for file in files if (tmp_path / "sealing") in file.parents)


def test_what_was_put_aside_when_the_host_was_killed_goes(
    leftovers: SealingLeftovers, tmp_path: Path
) -> None:
    sector_write(tmp_path, "s-t01000-5")
    aside = tmp_path / "sealing" / ASIDE
    aside.mkdir()
    (tmp_path / "sealing/cache/s-t01000-5").rename(aside / "cache-s-t01000-5")

    assert found(leftovers) == [(1000, 5)], "the rest of it is still there"
    assert not aside.exists()
    assert order(leftovers, 5, folder=tmp_path / "sealing") == ""
    assert found(leftovers) == []


def test_a_job_begins_before_or_after_a_removal_never_in_it(
    leftovers: SealingLeftovers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sector_write(tmp_path, "s-t01000-1")
    seen = []

    def known() -> frozenset[str]:
        seen.append(leftovers.journal.no_job_begins.locked())
        return frozenset()

    monkeypatch.setattr(leftovers, "_known", known)
    order(leftovers, 1, folder=tmp_path / "sealing")

    assert seen[0] is True, "what is known holds until all is put aside"
