"""A miner whose first window is open, its proof, and one pass at a height."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

from apps.core import clock
from apps.miners.models import Miner
from apps.proving.models import WindowPost
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.states import PostState
from poolsite.filecoin.policy import network_by_name
from tests import factories
from tests.unit.apps.proving.chain import OneDeadline

NETWORK = network_by_name("localnet-poolsite-test")

OPEN, CLOSE = 960, 970


def look(chain: OneDeadline, height: int = 961, *, later_s: float = 0) -> ProvingContext:
    """One pass at a height."""
    now: datetime = clock.now() + timedelta(seconds=later_s)
    chain.is_over = height - chain.null_below >= CLOSE
    return ProvingContext(client=cast("Any", chain), network=NETWORK, head=factories.head(height), now=now)


def miner(**data: Any) -> Miner:
    """A miner whose first window is open at 961, with a wallet to send from."""
    worker = data.pop("worker", "") or factories.wallet().address
    row = factories.miner(proving_period_start=OPEN, worker=worker, **data)
    factories.deadline(row, live=2)
    return row


def post(of: Miner, *, state: str = PostState.PROVED, **data: Any) -> WindowPost:
    """The proof of its open window."""
    facts = {
        "open_epoch": OPEN,
        "close_epoch": CLOSE,
        "challenge_epoch": OPEN - 2,
        "partitions": [0],
        "randomness": OneDeadline().beacon,
        "proof": b"proof",
        **data,
    }
    return WindowPost.objects.create(miner=of, deadline_index=0, state=state, **facts)


def faulty(of: Miner) -> Any:
    """A deadline whose sectors are faulty and can still be declared good."""
    row = factories.deadline(of, 5, live=2, faulty=2, open_epoch=1010)
    factories.partition(row, all_sectors=[1, 2], live=[1, 2], faulty=[1, 2])
    return row
