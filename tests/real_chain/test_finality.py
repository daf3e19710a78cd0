"""Fast finality (F3) on a real lotus node, which votes for a miner of ours under a lease of the pool."""

from __future__ import annotations

from typing import Any, Final

import pytest

from apps.blocks.models import F3Lease
from apps.blocks.selectors.mining_miners import MiningMiner
from apps.blocks.selectors.nodes import f3_links
from apps.blocks.services.finality import f3_participate
from apps.blocks.services.finality_status import f3_status_read
from apps.blocks.services.finality_tickets import TERM
from apps.core import clock
from tests.acceptance.chain import NodeRefused
from tests.integration.pools import wait_until
from tests.real_chain.node import STEP_S, RealNode

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("real_chain")]

DISABLED: Final = "f3 is disabled"
LEASES: Final = 2
"""The second is renewed by the ticket of the first."""


def has_f3(node: RealNode) -> bool:
    """Return whether the node was started with F3; it may yet have to begin."""
    try:
        node.call("F3IsRunning")
    except NodeRefused as refusal:
        if DISABLED in str(refusal):
            return False
        raise
    return True


def test_the_node_votes_under_our_lease_and_finality_goes_on(mining: tuple[RealNode, MiningMiner]) -> None:
    node, miner = mining
    if not has_f3(node):
        pytest.skip("the node runs without F3")
    [link] = f3_links()
    ours = [miner.row]
    wait_until(lambda: f3_status_read(link).is_running, within_s=STEP_S, what="the node's F3")
    assert miner.row.actor_id not in f3_status_read(link).miners
    begun = f3_status_read(link)

    seen: set[int] = set()

    def is_renewed() -> bool:
        assert f3_participate(ours, links=[link], now=clock.now())
        lease = F3Lease.objects.get(miner=miner.row)
        if lease.reason == "":
            seen.add(lease.from_instance)
        return len(seen) >= LEASES

    wait_until(
        is_renewed, within_s=STEP_S, what=lambda: f"{F3Lease.objects.values()}\n{f3_status_read(link)}"
    )

    lease = F3Lease.objects.get(miner=miner.row)
    said = f3_status_read(link)
    assert said.miners == (miner.row.actor_id,)
    assert lease.network == node.call("F3GetManifest")["NetworkName"]
    assert max(seen) <= lease.ends <= max(seen) + TERM
    wait_until(
        lambda: _finalized(link) > (begun.finalized or 0),
        within_s=STEP_S,
        what=lambda: str(f3_status_read(link)),
    )
    certificate: dict[str, Any] = node.call("F3GetLatestCertificate")
    assert certificate["Signers"] not in ([], [0]), "somebody's power is behind it"
    print(f"F3: instance {f3_status_read(link).instance}, {_finalized(link)} epochs are final")


def _finalized(link: Any) -> int:
    return f3_status_read(link).finalized or 0
