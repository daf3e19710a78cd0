"""One miner asked for twice at the same moment, as by a double click."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.messages.models import Message
from apps.miners.models import Miner
from apps.miners.services.create import miner_create
from apps.miners.services.creation_plan import MinerSpec
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.policy import network_by_name
from tests import factories, people

pytestmark = pytest.mark.django_db(transaction=True)


class Node:
    """Asks a deposit for a new miner, another one each time."""

    deposit = 10**18

    def state_get_actor(self, *_: object) -> dict[str, Any]:
        return {}

    def call(self, *_: object) -> str:
        self.deposit += 7
        return str(self.deposit)


def test_one_miner_asked_for_twice_at_once_is_created_once(beside: Callable[..., list[Any]]) -> None:
    factories.head(1000)
    owner, tenant, node = factories.wallet().address, people.tenant(), Node()
    spec = MinerSpec(name="first", owner=owner, worker=owner, sector_size=2048, key="k1")

    def create() -> Miner:
        network: Any = network_by_name("localnet-poolsite-test")
        client: Any = node
        return miner_create(spec, principal=SYSTEM, tenant=tenant, client=client, network=network)

    one, two, _ = beside(create, "apps.miners.services.create.creation_plan", create, watched_s=20)

    assert one == two == Miner.objects.get()
    assert Message.objects.count() == 1
    assert AuditEntry.objects.filter(action="miner.create").count() == 1
