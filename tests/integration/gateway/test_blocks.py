"""What a block needs, asked of a real signer and a real prover through the hub."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings

from apps.blocks.rounds.draws import Draw
from apps.blocks.rounds.outcomes import outcome_of
from apps.blocks.rounds.providers import META_BLOCK, META_DRAW, BlockProviders, ProofTimeout
from apps.blocks.states import RoundState
from apps.gateway.errors import SignerAway, SignerRefused
from apps.gateway.hub.client import HubClient
from poolsite.devnet.node import Devnet
from poolsite.filecoin.address import bls_address, id_address
from poolsite.filecoin.election import vrf_verify
from poolsite.filecoin.keys import key_address
from poolsite.filecoin.randomness import Tag
from poolsite.filecoin.signature import signature_verify
from tests import people
from tests.integration.gateway.conftest import connected
from tests.integration.gateway.prover import MINER, listening, request_of, sector, token
from tests.keys import fixed_key

__all__ = ["sector", "token"]
DRAW = Draw(b"beacon", Tag.ELECTION_PROOF_PRODUCTION, 20, b"miner")


@pytest.fixture
async def providers(pool_redis):
    hub = HubClient(settings.REDIS_URL)
    yield BlockProviders(hub)
    await hub.stop()


def header():
    """A header of the pool's miner."""
    node = Devnet(":memory:", network="test")
    block = node.mine_one().blocks[0]
    node.close()
    return replace(block, miner=id_address(MINER), block_sig=None)


async def test_a_signer_draws_and_signs_one_header_for_a_height(web, signer, providers):
    granted = await sync_to_async(people.token)("read", scopes=["signer"])
    worker = key_address(fixed_key("bls"))
    block = header()
    other = replace(block, timestamp=block.timestamp + 1)

    async def sign(to_sign, meta_type, of=worker):
        return await providers.sign(of, to_sign, account="alice", meta_type=meta_type, until=time.time() + 5)

    async with connected(signer, web, granted):
        vrf = await sign(DRAW.to_cbor(), META_DRAW)
        first = await sign(block.signing_bytes, META_BLOCK)
        again = await sign(block.signing_bytes, META_BLOCK)
        with pytest.raises(SignerRefused) as refusal:
            await sign(other.signing_bytes, META_BLOCK)
        with pytest.raises(SignerAway):
            await sign(b"", META_DRAW, of=bls_address(bytes(48)))

    vrf_verify(worker, DRAW.randomness, vrf.data)
    signature_verify(first, worker, block.signing_bytes)
    assert first == again
    assert outcome_of(refusal.value)[0] == RoundState.SLASH_GUARD


async def test_a_prover_proves_in_time_or_is_called_late(web, token, sector, providers):
    store, comm_r = sector
    request = request_of(comm_r)

    async with listening(web, token, store):
        [proof] = await providers.prove(MINER, request, account="alice", until=time.time() + 60)
        with pytest.raises(ProofTimeout):
            await providers.prove(MINER, request, account="bob", until=time.time() + 0.5)
    with pytest.raises(ProofTimeout):
        await providers.prove(MINER + 1, request, account="alice", until=time.time() + 0.5)

    assert len(proof.proof_bytes) > 192
