"""What a head costs that brings nothing of ours: few statements, and none that Django compiles anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from apps.chain.tasks import chain_facts
from apps.messages.models import Tracker
from apps.miners.models import ChainRoots, Miner, RewardEstimate
from apps.proving.models import FollowedWindows
from apps.proving.tasks import proving_check, proving_submit
from apps.sectors.models import ActiveSectors
from poolsite.celery import app
from tests import factories

pytestmark = pytest.mark.django_db
HEIGHT = 1001
ROOT = factories.cid("root")
BALANCE = 5 * factories.FIL
SECTORS, WINDOWS = 3, 48


class Node:
    """A node whose heads bring no message and change no miner."""

    def call_many(self, calls: list[tuple[str, Any]]) -> list[Any]:
        assert {method for method, _ in calls} == {"StateGetActor"}
        return [{"Head": {"/": ROOT}, "Balance": str(BALANCE)} for _ in calls]

    def chain_get_parent_messages(self, _block: str) -> list[Any]:
        return []

    def mpool_pending(self) -> list[Any]:
        return []


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], dict[str, Any]]:
    """A pool at rest; called with a height it makes that head and returns what the follower sends for it."""
    for name in ("messages", "miners"):
        monkeypatch.setattr(f"apps.{name}.tasks.chain_client", Node)
    app.loader.import_default_modules()
    factories.network()
    factories.head(HEIGHT - 1)
    # The row's id says at which heads of a period all its sectors are compared: at none of these.
    miner = factories.miner(pk=1, proving_period_start=960, balance=BALANCE)
    factories.miner_day(miner)
    told = dict.fromkeys(("reward_position", "reward_velocity", "power_position", "power_velocity"), 1)
    RewardEstimate.objects.create(height=HEIGHT, **told)
    known = {"state": ROOT, "deadlines": ROOT, "read_height": HEIGHT - 1}
    ChainRoots.objects.create(miner=miner, **known)
    ActiveSectors.objects.create(miner=miner, root=ROOT, compared_height=HEIGHT)
    FollowedWindows.objects.create(miner=miner, root=ROOT, next_close=HEIGHT + 40)
    for index in range(WINDOWS):
        factories.deadline(miner, index, live=SECTORS, open_epoch=HEIGHT + 50 + 10 * index)
    factories.worker(kinds=["window_post"], seen_at=now())
    Tracker.objects.create(pk=1, height=HEIGHT - 1, key=factories.cid(f"head {HEIGHT - 1}"))

    def at(height: int) -> dict[str, Any]:
        miner.refresh_from_db()
        Miner.objects.update(current_deadline=(height - 960) // 10)
        factories.wallet(address=factories.bls(height), checked_at=now())
        return {"height": height, "key": factories.head(height).key}

    return at


def test_a_head_that_brings_nothing_asks_little(
    idle: Callable[[int], dict[str, Any]], compiled: list[str]
) -> None:
    chain_facts(**idle(HEIGHT))  # the statements are prepared, the miner is known
    given = idle(HEIGHT + 1)
    compiled.clear()

    with CaptureQueriesContext(connection) as asked:
        chain_facts(**given)

    texts = [query["sql"] for query in asked]
    assert len(texts) <= 20, "\n".join(texts)
    assert not [text for text in compiled if text.startswith("SELECT")], compiled
    assert Tracker.objects.get().height == Miner.objects.get().refreshed_height == HEIGHT + 1


@pytest.mark.parametrize("step", [proving_submit, proving_check])
def test_a_step_that_finds_nothing_compiles_nothing(
    idle: Callable[[int], dict[str, Any]], compiled: list[str], step: Any
) -> None:
    for height in (HEIGHT, HEIGHT + 1, HEIGHT + 2):
        given = idle(height)
        compiled.clear()
        with CaptureQueriesContext(connection) as asked:
            step(**given)

    texts = [query["sql"] for query in asked]
    assert len(texts) <= 16, "\n".join(texts)
    assert not [text for text in compiled if text.startswith("SELECT")], compiled
