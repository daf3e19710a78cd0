"""What lotus' command line sends for fields that nobody set: `<empty>` addresses and null CIDs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from poolsite.devnet.rpc.dispatch import LOTUS, PERMS, Dispatcher
from poolsite.devnet.rpc.methods import METHODS_V1
from poolsite.filecoin.cids import cid_to_json
from poolsite.wire.jsonrpc.server import request_handle
from tests.unit.devnet.people import OWNER, STRANGER, chain, person, signed

UNSET = "<empty>"


@pytest.fixture
def node():
    node = chain()
    node.mine(2)
    yield node
    node.close()


async def call(node, method, *params):
    with ThreadPoolExecutor(1) as executor:
        dispatcher = Dispatcher(node=node, methods=METHODS_V1, perms=frozenset(PERMS), executor=executor)
        request = {"id": 1, "method": f"Filecoin.{method}", "params": list(params)}
        return (await request_handle(request, dispatcher, LOTUS))[0]


async def test_messages_are_listed_by_one_party_alone(node):
    sent = signed(node, OWNER, STRANGER.address, value=5)
    node.mempool.push(sent)
    node.mine(2)

    async def listed(**parties):
        match = {"To": UNSET, "From": UNSET, **{name: str(who.address) for name, who in parties.items()}}
        return await call(node, "StateListMessages", match, None, 0)

    assert (await listed(From=OWNER))["result"] == [cid_to_json(sent.cid)]
    assert (await listed(To=STRANGER))["result"] == [cid_to_json(sent.cid)]
    assert (await listed(From=STRANGER))["result"] is None
    assert (await listed(From=person("nobody")))["result"] is None
    assert "at least To or From" in (await listed())["error"]["message"]


async def test_the_price_of_a_sector_without_a_replica_is_told(node):
    """As `lotus-miner sectors get-cc-collateral` asks for it."""
    precommit = {
        "SealProof": 5,
        "SectorNumber": 0,
        "SealedCID": None,
        "SealRandEpoch": 0,
        "DealIDs": None,
        "Expiration": 600_000,
        "UnsealedCid": None,
    }

    answer = await call(node, "StateMinerInitialPledgeCollateral", UNSET, precommit, None)

    assert int(answer["result"]) > 0
