"""When the sectors of a deadline may be updated."""

from __future__ import annotations

from typing import Any, cast

from apps.miners.models import Miner
from apps.sectors.models import Batch
from apps.sectors.onchain.deadline_windows import (
    LEAD_EPOCHS,
    Windows,
    last_mutable_epoch_compute,
    open_deadline_read,
)
from apps.sectors.rules.batches import COMMIT_NI
from apps.sectors.services.batches.messages import _last_mutable
from poolsite.filecoin.actors.miner_sectors import ProveCommitSectorsNIParams
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.deadlines import deadline_info, deadline_to_json, is_mutable
from poolsite.filecoin.policy import TEST

INDEX = 2
"""Open from the 20th epoch to the 29th of a period of 60."""


def test_an_update_waits_until_its_deadline_is_closed_in_the_next_epoch() -> None:
    def last(height: int) -> int | None:
        current = deadline_info(0, height // TEST.proving.window, height, TEST.proving)
        return last_mutable_epoch_compute(current, index=INDEX, height=height)

    for height in range(60):
        tried = (
            deadline_info(0, INDEX, at, TEST.proving) for at in (height, height + 1, height + LEAD_EPOCHS)
        )
        assert (last(height) is not None) == all(map(is_mutable, tried)), height
    assert (last(7), last(8), last(28), last(29), last(30)) == (9, None, None, None, 69)


class AfterNullRounds:
    """A node at epoch 21, with null rounds since 19: it names deadline 1, of the next period."""

    def state_miner_proving_deadline(self, _miner: str, _key: str) -> Any:
        return deadline_to_json(deadline_info(0, 1, 21, TEST.proving).next_not_elapsed())


def test_after_null_rounds_the_deadline_that_is_open_counts() -> None:
    node = cast("Any", AfterNullRounds())

    current = open_deadline_read(node, "f01000", key="", height=21)
    windows = Windows.read(node, "f01000", key="", height=21)

    assert (current.index, current.period_start) == (INDEX, 0)
    assert [last_mutable_epoch_compute(current, index=at, height=21) for at in range(5)] == [
        49,
        59,
        None,
        None,
        29,
    ]
    assert [windows.opens_at(at, margin=3) for at in range(5)] == [21, 21, 30, 40, 21]
    assert [windows.closes_at(at) for at in range(5)] == [49, 59, 9, 19, 29]


def test_a_batch_expires_in_time_if_the_stored_period_is_one_on() -> None:
    params = ProveCommitSectorsNIParams((), b"", 15, 1, proving_deadline=4, require_activation_success=False)
    batch = Batch(
        miner=Miner(proving_period_start=60),
        method=COMMIT_NI.method,
        params=to_cbor(params),
        closed_height=21,
    )

    assert _last_mutable(batch, TEST) == 29
