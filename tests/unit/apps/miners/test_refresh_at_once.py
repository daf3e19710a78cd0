"""Miners that are read at a head, while rows that refer to them are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from apps.miners.models import ChainRoots, Miner
from apps.miners.services.miner_changes import MinerChange, roots_store
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


def test_roots_are_stored_while_proofs_of_two_miners_are_made(beside: Callable[..., list[Any]]) -> None:
    """Their jobs come in the order of their windows, roots in the order of the miners' keys."""
    first, second = factories.miner(1000), factories.miner(1001)
    root = factories.cid("state")
    roots = [ChainRoots(miner=one, state=root, deadlines=root, read_height=2000) for one in (first, second)]
    changes = [MinerChange(one.miner, {}, one, has_each=True) for one in roots]

    def proofs() -> None:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            for miner in (second, first):
                factories.deadline(miner)

    beside(proofs, "tests.factories.deadline", lambda: roots_store(changes, height=2000))

    assert set(Miner.objects.values_list("refreshed_height", flat=True)) == {2000}
