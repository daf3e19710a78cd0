"""What a head does to miners while no node answers."""

from __future__ import annotations

import pytest

from apps.chain.models import Node
from apps.miners.models import Miner
from apps.miners.tasks import miners_refresh
from tests import factories

pytestmark = pytest.mark.django_db


def test_without_a_node_the_miners_stay_as_they_were_and_nothing_is_raised() -> None:
    Node.objects.create(url="http://127.0.0.1:9/rpc/v1", name="away")
    head = factories.head(1001)
    miner = factories.miner(refreshed_height=1000)

    miners_refresh(height=head.height, key=head.key)

    assert Miner.objects.get(pk=miner.pk).refreshed_height == 1000
