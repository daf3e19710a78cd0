"""Disputes of our proofs are read from what heads executed, each once, and only while there can be any."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.db import connection

from apps.miners.models import Miner
from apps.proving.due import MOVING
from apps.proving.models import Dispute, DisputesRead, WindowPost
from apps.proving.services.disputes import DISPUTABLE, disputes_follow
from apps.proving.states import PostState
from poolsite.filecoin.actors.miner_proving import DisputeWindowedPoStParams
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.cids import cid_parse
from poolsite.filecoin.codec import to_cbor
from tests import factories
from tests.bulk_rows import row_copies_insert
from tests.query_plans import plan_run, rows_read
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.rescues import look, miner, post

pytestmark = pytest.mark.django_db

BEGUN = 961


class Chain:
    """What each head executed, by its height; counts the questions."""

    def __init__(self, of: Miner, disputes: dict[int, int]) -> None:
        self.of, self.disputes, self.asked = of, disputes, 0

    def _height(self, block: str) -> int:
        return next(height for height in range(900, 1100) if factories.cid(f"head {height}") == block)

    def chain_get_parent_messages(self, block: str) -> list[Any]:
        """A transfer, and a dispute where there is one."""
        self.asked += 1
        height = self._height(block)
        sender, to = address_parse(factories.bls(5)), address_parse(self.of.address)
        params = to_cbor(DisputeWindowedPoStParams(deadline=3, post_index=0))
        rows = [SimpleNamespace(method=0, to=to, from_=sender, params=b"")]
        if height in self.disputes:
            rows.append(SimpleNamespace(method=24, to=to, from_=sender, params=params))
        return [(cid_parse(factories.cid(f"{height} {at}")), row) for at, row in enumerate(rows)]

    def chain_get_parent_receipts(self, block: str) -> list[Any]:
        """With the dispute's exit code."""
        return [SimpleNamespace(exit_code=0), SimpleNamespace(exit_code=self.disputes[self._height(block)])]


def followed(chain: Chain, height: int) -> int:
    for number in range(BEGUN, height + 1):
        factories.head(number)
    return disputes_follow(replace(look(OneDeadline(), height), client=cast("Any", chain)))


def test_each_dispute_is_kept_once_with_its_outcome() -> None:
    of = miner()
    post(of, state=PostState.LANDED, landed_height=962)
    chain = Chain(of, {964: 16, 966: 0})

    assert followed(chain, 962) == 0
    assert followed(chain, 970) == 2
    assert followed(chain, 972) == 0

    rows = Dispute.objects.order_by("height")
    assert [(row.miner, row.deadline_index, row.height, row.exit_code) for row in rows] == [
        (of, 3, 964, 16),
        (of, 3, 966, 0),
    ]


def test_without_a_proof_to_dispute_nothing_is_asked() -> None:
    chain = Chain(miner(), {964: 0})

    followed(chain, 962)
    assert followed(chain, 975) == 0

    assert chain.asked == 0
    assert DisputesRead.objects.get().height == 974


def test_no_head_reads_the_proofs_that_landed_long_ago() -> None:
    old = post(miner(), state=PostState.LANDED, landed_height=100)
    epochs = {"open_epoch": "n", "close_epoch": "n + 60", "landed_height": "n + 30"}
    with connection.cursor() as cursor:
        row_copies_insert(
            cursor,
            "proving_windowpost",
            of=f"id = {old.pk}",
            changed={"uuid": "gen_random_uuid()", **epochs},
            rows="generate_series(200000, 205000) n",
        )
        cursor.execute("analyze proving_windowpost")
        moving = MOVING.replace("$1", "206000").replace("$3", "900")
        disputable = WindowPost.objects.filter(state=PostState.LANDED, close_epoch__gt=205_000)
        last = disputable.order_by("-close_epoch").values_list("pk", flat=True)[:1]
        sql, values = last.query.sql_with_params()

        assert DISPUTABLE.rows(since=205_000)
        assert rows_read(plan_run(cursor, sql, values), "proving_windowpost") == 1
        assert rows_read(plan_run(cursor, moving), "proving_windowpost") == 0
