"""A miner that the chain has already comes with what the chain says of it."""

from __future__ import annotations

from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.miners.models import Miner
from apps.miners.services.importing import miner_import
from apps.users.rules.principals import SYSTEM
from tests.integration.sealing.world import World


def test_an_imported_miner_is_known_before_the_next_head(world: World) -> None:
    """Where the chain stands, the next head is the block that this miner makes."""
    made = world.miner_create()
    Miner.objects.all().delete()

    row = miner_import(
        str(made.address),
        name="old",
        principal=SYSTEM,
        tenant=made.tenant,
        client=chain_client(),
        network=network_current(),
    )

    head = head_current()
    assert head is not None
    assert (row.owner, row.worker, row.refreshed_height) == (made.owner, made.worker, head.height)
    assert row.proving_period_start == made.proving_period_start
    assert row.balance == made.balance
