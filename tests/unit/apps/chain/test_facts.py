"""What is read at a head is read where there is something to read; every few epochs it is all read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from django.utils.timezone import now

from apps.chain.heads.steps import EVERY_STEP_EPOCHS, facts_due, facts_read
from apps.core.reasons import Reason
from apps.miners.models import ChainRoots, Miner, RewardEstimate
from apps.proving.models import Deadline, FollowedWindows, WindowPost
from apps.proving.reasons import WAITS_TO_OPEN
from apps.sectors.models import ActiveSectors
from poolsite.celery import app
from poolsite.filecoin.policy import network_by_name
from tests import factories

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db
HEIGHT = 1001
COMPARED_AT_HEIGHT = 1_258_999
"""Key of a miner of which all sectors are compared at HEIGHT, and then not for a finality, of any network."""
ROOT = factories.cid("root")
ALL = {"miners.estimates", "sectors.active", "proving.refresh", "miners.days", "wallets.refresh"}


@pytest.fixture
def miner() -> Miner:
    """A miner of which everything was read, with a prover that is heard of."""
    factories.network()
    miner = factories.miner(pk=COMPARED_AT_HEIGHT, proving_period_start=960)
    factories.miner_day(miner)
    ChainRoots.objects.create(miner=miner, deadlines=ROOT)
    ActiveSectors.objects.create(miner=miner, root=ROOT, compared_height=HEIGHT)
    FollowedWindows.objects.create(miner=miner, root=ROOT, next_close=HEIGHT + 1)
    told = dict.fromkeys(("reward_position", "reward_velocity", "power_position", "power_velocity"), 1)
    RewardEstimate.objects.create(height=HEIGHT - 1, **told)
    factories.wallet(checked_at=now())
    factories.worker(kinds=["window_post"])
    return miner


def post(of: Deadline, state: str) -> WindowPost:
    return WindowPost.objects.create(
        miner=of.miner,
        deadline_index=of.index,
        open_epoch=of.open_epoch,
        close_epoch=of.close_epoch,
        challenge_epoch=of.challenge_epoch,
        state=state,
        partitions=[0],
        randomness=b"r",
    )


def proved(of: Miner) -> None:
    post(factories.deadline(of, open_epoch=995, live=1, forecast="landed"), "LANDED")


def waiting(of: Miner, *, words: str = WAITS_TO_OPEN.template, **skipped: list[int]) -> None:
    reason = Reason(words, WAITS_TO_OPEN.code, {})
    row = factories.deadline(of, open_epoch=1002, live=1, forecast="will_land", reason=reason)
    WindowPost.objects.filter(pk=post(row, "PROVED").pk).update(skipped=skipped)


def taken_back(of: Miner) -> None:
    post(factories.deadline(of, open_epoch=995, live=1, forecast="landed"), "SENT")


def alone(of: Miner) -> None:
    factories.deadline(of, open_epoch=1020, live=1)
    of.tenant.workers.update(seen_at=now() - timedelta(minutes=5))


def compared_long_ago(of: Miner) -> None:
    period = network_by_name(factories.NETWORK).proving.period
    ActiveSectors.objects.filter(miner=of).update(compared_height=HEIGHT - period)


def comparing(of: Miner) -> None:
    ActiveSectors.objects.filter(miner=of).update(next_number=7)


NEWS: dict[str, tuple[Callable[[Miner], object], set[str]]] = {
    "nothing": (lambda of: of, set()),
    "a window that was proved": (proved, set()),
    "a window that is not challenged": (lambda of: factories.deadline(of, open_epoch=1020, live=1), set()),
    "a deadline moved": (
        lambda of: ChainRoots.objects.filter(miner=of).update(deadlines=factories.cid("other")),
        {"sectors.active", "proving.refresh"},
    ),
    "a new miner": (
        lambda _of: ChainRoots.objects.create(
            miner=factories.miner(proving_period_start=960), deadlines=ROOT
        ),
        {"sectors.active", "proving.refresh", "miners.days"},
    ),
    "a day that is not written": (lambda of: of.days.all().delete(), {"miners.days"}),
    "a comparison of all rows": (compared_long_ago, {"sectors.active"}),
    "a comparison that goes on": (comparing, {"sectors.active"}),
    "a window that closed": (
        lambda of: FollowedWindows.objects.filter(miner=of).update(next_close=HEIGHT),
        {"proving.refresh"},
    ),
    "faulty sectors": (lambda of: factories.deadline(of, faulty=1), {"proving.refresh"}),
    "a window whose sectors left it": (
        lambda of: factories.deadline(of, forecast="later"),
        {"proving.refresh"},
    ),
    "a challenged window": (
        lambda of: factories.deadline(of, open_epoch=1002, live=1),
        {"proving.refresh"},
    ),
    "a proof that waits for its window": (waiting, set()),
    "one of which another version says so in other words": (partial(waiting, words="it waits"), set()),
    "a proof that leaves sectors out": (lambda of: waiting(of, s=[1]), {"proving.refresh"}),
    "a proof that the chain lost": (taken_back, {"proving.refresh"}),
    "a prover that went away": (alone, {"proving.refresh"}),
    "old estimates": (
        lambda _of: RewardEstimate.objects.update(height=HEIGHT - 10),
        {"miners.estimates"},
    ),
    "a key without a wallet": (
        lambda _of: factories.signer_key(factories.bls(77), factories.signer_connection()),
        {"wallets.refresh"},
    ),
}


@pytest.mark.parametrize("news", NEWS)
def test_news_make_a_fact_due(miner: Miner, news: str) -> None:
    make, wanted = NEWS[news]
    make(miner)

    assert facts_due(height=HEIGHT) == wanted


def test_every_few_epochs_all_is_read(miner: Miner) -> None:
    assert facts_due(height=EVERY_STEP_EPOCHS * 100) == ALL


def test_before_the_network_is_known_all_is_read() -> None:
    assert facts_due(height=HEIGHT) == ALL


def test_all_is_asked_in_one_statement_beside_the_network(
    miner: Miner, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    facts_due(height=HEIGHT)

    with django_assert_num_queries(2):
        facts_due(height=HEIGHT)


def test_a_delayed_task_asks_for_the_head_that_is_there(miner: Miner) -> None:
    FollowedWindows.objects.filter(miner=miner).update(next_close=HEIGHT + 2)
    factories.head(HEIGHT + 2, key="k2")
    app.loader.import_default_modules()
    read: dict[str, Any] = dict(facts_read(height=HEIGHT, key="k"))

    assert read.keys() == {"messages.track", "miners.refresh", "proving.refresh"}, (
        "the window closed meanwhile"
    )
    assert read["proving.refresh"].keywords == {"height": HEIGHT + 2, "key": "k2"}


def test_a_delay_past_the_head_at_which_all_is_read_skips_none(miner: Miner) -> None:
    FollowedWindows.objects.filter(miner=miner).update(next_close=HEIGHT + 9)
    assert facts_due(height=HEIGHT + 1, since=HEIGHT) == set()
    assert facts_due(height=EVERY_STEP_EPOCHS * 100 + 1, since=EVERY_STEP_EPOCHS * 100 - 2) == ALL
    assert facts_due(height=EVERY_STEP_EPOCHS * 100 + 1, since=EVERY_STEP_EPOCHS * 100) == ALL
