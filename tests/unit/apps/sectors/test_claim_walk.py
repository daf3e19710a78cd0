"""Random interleavings of what hosts, people, the clock and the console do with claims: ten thousand of them.

One interleaving is a whole sequence of acts from a world's beginning to its last act.  A world goes its way;
every few acts all that can follow is tried in a tree of STEMS and BRANCHES acts, and taken back: each leaf
ends a sequence of its own.  They share what they have in common, so that one costs little more than its last
act.  Those that did the same with the same jobs are counted once.

`make test` lives a tenth of them, `make soak` four seeds of 2,500, and goes on after them until
POOLSITE_SOAK_CLAIMS (a million) are lived or POOLSITE_SOAK_MINUTES have passed, and remembers under
POOLSITE_VAR where it stopped.  A failure names its seed, which POOLSITE_SOAK_SEED lives again, and the fewest
of its acts that fail alike.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from django.db import transaction
from django.db.models import CharField, Value
from django.db.models.functions import Concat

from apps.core.live import changes_deferred
from apps.core.prepared_statements import Prepared
from apps.sectors.models import Job, Worker
from apps.sectors.services.hosts import registration
from apps.sectors.services.jobs import claims, lease_renewals, leases, report_leases, reports, stage_events
from apps.sectors.states import JobState
from tests import factories
from tests.unit.apps.sectors.claim_model import ACTS, World

pytestmark = pytest.mark.django_db(transaction=True)

SEEDS: Final = (1, 2, 3, 4)
EACH: Final = 2_500
"""Interleavings of one seed."""
FEW: Final = 1_000
"""Of them, in `make test`."""
TRUNK: Final = 15
"""Acts between two trees."""
STEMS: Final = 3
BRANCHES: Final = (5, 6, 7)
"""Acts that all leaves of a tree have in common, and in how many ways it goes on after each of these."""
SHORTER_MAX: Final = 60
"""Lives in which a failure is shortened."""
SOAK_CLAIMS: Final = int(os.environ.get("POOLSITE_SOAK_CLAIMS", "1000000"))
SOAK_S: Final = 60 * float(os.environ.get("POOLSITE_SOAK_MINUTES", "20"))
PROGRESS: Final = Path(os.environ.get("POOLSITE_VAR", "var")) / "soak-claims.json"

Act = tuple[str, int]
"""What is done, and the number of its dice."""


class Lives:
    """The worlds of one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.dice = random.Random(seed)
        self.path: list[Act] = []
        """All acts that led to here, none of those that were taken back."""
        self.count = 0
        self.acts: Counter[str] = Counter()
        self.leaves: set[tuple[str, ...]] = set()
        """What was done to which jobs, in the tree that grows."""

    def live(self, count: int) -> World:
        """Live at least so many interleavings."""
        with changes_deferred() as kept:
            with transaction.atomic():
                self.world = world_new()
            while self.count < count:
                with transaction.atomic():
                    for _ in range(TRUNK):
                        self.step()
                self.tree()
                kept.clear()
            self.world.check_all()
        return self.world

    def step(self) -> str:
        """Do another act.  Raises AssertionError with the fewest acts that fail."""
        act = self.dice.choices(list(ACTS), list(ACTS.values()))[0], self.dice.getrandbits(32)
        self.path.append(act)
        self.acts[act[0]] += 1
        try:
            return self.world.do(*act)
        except Exception as wrong:
            raise Failed(f"seed {self.seed}, act {len(self.path)}, {act[0]}: {wrong}", self.path) from wrong

    def tree(self) -> None:
        self.leaves = set()
        with transaction.atomic():
            before, length = self.world.seen.copied(), len(self.path)
            words = tuple(self.step() for _ in range(STEMS))
            self.grow(words, BRANCHES)
            self.world.seen = before
            del self.path[length:]
            transaction.set_rollback(True)
        self.count += len(self.leaves)

    def grow(self, words: tuple[str, ...], branches: Sequence[int]) -> None:
        if not branches:
            self.leaves.add(words)
            return
        before, length = self.world.seen, len(self.path)
        for _ in range(branches[0]):
            place = transaction.savepoint()
            self.world.seen = before.copied()
            self.grow((*words, self.step()), branches[1:])
            transaction.savepoint_rollback(place)
            del self.path[length:]
        self.world.seen = before


def world_new() -> World:
    """Begin a world in which nothing of an earlier one is left to claim."""
    Job.objects.update(state=JobState.FAILED)
    Worker.objects.update(uid=Concat(Value("once "), "pk", output_field=CharField()))
    return World(factories.miner())


class Failed(AssertionError):
    """Some acts after which a promise is broken."""

    def __init__(self, text: str, path: Sequence[Act]) -> None:
        super().__init__(text)
        self.path = list(path)


def fails(path: Sequence[Act]) -> str | None:
    """Do acts in a new world and take it back; gives what was wrong, and what was done until then."""
    done: list[str] = []
    wrong: str | None = None
    with transaction.atomic():
        world = world_new()
        for act in path:
            try:
                done.append(world.do(*act))
            except Exception as broken:  # noqa: BLE001  # whatever it is, it has to be shown
                wrong = "\n".join([*done, f"{act[0]} {act[1]}: {broken!r}"])
                break
        transaction.set_rollback(True)
    return wrong


def shortened(path: Sequence[Act]) -> tuple[list[Act], str | None]:
    """Leave out whatever is not needed to fail, in halves, quarters and so on down to single acts."""
    best, told, lives = list(path), fails(path), 0
    size = len(best) // 2
    while told is not None and size and lives < SHORTER_MAX:
        start, before = 0, len(best)
        while start < len(best) and lives < SHORTER_MAX:
            fewer = best[:start] + best[start + size :]
            lives += 1
            again = fails(fewer)
            if again is None:
                start += size
            else:
                best, told = fewer[: len(again.splitlines())], again
        if size > 1 or len(best) == before:
            size //= 2
    return best, told


def live(seed: int, count: int = EACH) -> Lives:
    """Live a seed.  Raises AssertionError that names the fewest acts that fail."""
    lives = Lives(seed)
    try:
        lives.live(count)
    except Failed as failed:
        with changes_deferred():
            path, told = shortened(failed.path)
        raise AssertionError(f"{failed}\n{len(path)} acts are enough:\n{told}\n{path}") from failed
    return lives


@pytest.mark.parametrize(
    ("seed", "count"),
    [(SEEDS[1], FEW), *(pytest.param(seed, EACH, marks=pytest.mark.slow) for seed in SEEDS)],
)
def test_no_interleaving_gives_two_holders_or_counts_twice(seed: int, count: int) -> None:
    lives = live(seed, count)

    assert lives.count >= count
    assert set(lives.acts) == set(ACTS)
    assert sum(lives.acts.values()) < 2 * lives.count, "they cost more than is said"
    assert lives.world.seen.taken > len(lives.path) // 20, "the world hardly went anywhere"
    assert lives.world.seen.ended > 0


def unfenced(found: Callable[..., Job]) -> Callable[..., Job]:
    """Return the search for a report's job without its look at the token."""

    def for_any_token(job_id: str, *, token: int, tenant_id: int) -> Job:
        job = Job.objects.filter(uuid=job_id).first()
        return found(job_id, token=token if job is None else job.lease_token, tenant_id=tenant_id)

    return for_any_token


def changed(old: str, new: str) -> Callable[[Prepared], Prepared]:
    """Return how a statement becomes another, in which something is not looked at."""

    def change(statement: Prepared) -> Prepared:
        assert old in statement.text
        return Prepared(f"broken_{statement.name}", statement.text.replace(old, new), statement.types)

    return change


def instead(other: Callable[..., Any]) -> Callable[[Any], Any]:
    return lambda _real: other


BROKEN: Final[dict[str, tuple[Any, str, Callable[[Any], Any]]]] = {
    "reports under any token": (reports, "job_for_report", unfenced),
    "tokens that stay": (
        claims, "TAKE", changed("greatest(job.lease_token + 1, $5)", "greatest(job.lease_token, 1)"),
    ),
    "claims of what is held": (claims, "PLAIN", changed("AND job.lease_until < $1", "")),
    "claims of what lies elsewhere": (
        claims, "PLAIN", changed("job.sticky_worker_id = $3", "job.sticky_worker_id IS NOT NULL"),
    ),
    "claims before a pause is over": (
        claims, "PLAIN", changed("AND (job.not_before IS NULL OR job.not_before <= $1)", ""),
    ),
    "claims that pass a sector over": (
        claims, "PLAIN", changed("AND $6 AND $7", "AND $6 AND $7 AND false"),
    ),
    "sweeps of leases that run": (leases, "SWEEP", changed("AND lease_until < $1", "")),
    "heartbeats for others": (lease_renewals, "RENEW", changed("AND job.worker_id = $2", "AND $2 > 0")),
    "a start that ends no lease": (registration, "leases_end", instead(lambda *_args, **_more: 0)),
    "reports on what is paused": (stage_events, "lease_check", instead(lambda _job: None)),
    "reports on what was given back": (report_leases, "_is_given_back", instead(lambda _job: False)),
    "another report under a number": (stage_events, "_repeat_check", instead(lambda *_args, **_more: None)),
}  # fmt: skip
"""Services with one promise broken: the module, the name there, and what it becomes."""


@pytest.mark.parametrize("promise", BROKEN)
def test_interleavings_find_a_broken_service(promise: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, broken = BROKEN[promise]
    monkeypatch.setattr(module, name, broken(getattr(module, name)))

    with pytest.raises(Failed):  # noqa: PT012  # by any of the ten thousand
        for seed in SEEDS:
            Lives(seed).live(EACH)


def test_a_failure_names_the_fewest_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, broken = BROKEN["sweeps of leases that run"]
    monkeypatch.setattr(module, name, broken(getattr(module, name)))

    with pytest.raises(AssertionError, match=r"^seed 1, act .*\n[234] acts are enough:\nclaims "):
        live(SEEDS[0])


@pytest.mark.slow
def test_no_interleaving_of_a_million_gives_two_holders() -> None:
    began = time.monotonic()
    done = json.loads(PROGRESS.read_text()) if PROGRESS.exists() else {"seed": max(SEEDS) + 1, "count": 0}
    seed, count = int(os.environ.get("POOLSITE_SOAK_SEED", done["seed"])), int(done["count"])
    while count < SOAK_CLAIMS and time.monotonic() - began < SOAK_S:
        seed, count = seed + 1, count + live(seed).count
        PROGRESS.parent.mkdir(parents=True, exist_ok=True)
        PROGRESS.write_text(json.dumps({"seed": seed, "count": count}))
    if count >= SOAK_CLAIMS:
        PROGRESS.unlink()
