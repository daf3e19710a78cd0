"""Verified data from the root's grant to a sector that counts ten times: data cap, allocations, claims."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsite.devnet.actors.ledger import VERIFREG
from poolsite.devnet.actors.verified.allocations import EXPIRATION_MAX, TERM_MIN
from poolsite.devnet.actors.verified.claims import TERM_MAX
from poolsite.devnet.actors.verified.datacap import datacap_of
from poolsite.devnet.state.power_rows import CLAIMS
from poolsite.devnet.state.verified_rows import VERIFIERS, allocations_of, data_claims_of
from poolsite.filecoin.actors.allocations import (
    DATACAP_PER_BYTE,
    AllocationRequest,
    AllocationRequests,
    AllocationsResponse,
    ClaimExtensionRequest,
)
from poolsite.filecoin.actors.batch import BatchReturn
from poolsite.filecoin.actors.claims import (
    ClaimTerm,
    ExtendClaimTermsParams,
    GetClaimsParams,
    GetClaimsReturn,
)
from poolsite.filecoin.actors.datacap import TransferReturn
from poolsite.filecoin.actors.miner_sectors import PieceActivationManifest, VerifiedAllocationKey
from poolsite.filecoin.actors.verifreg import (
    Method,
    RemoveExpiredAllocationsParams,
    RemoveExpiredAllocationsReturn,
    VerifierParams,
)
from poolsite.filecoin.cids import commd_cid
from poolsite.filecoin.codec import from_cbor, to_cbor
from tests.devnet_epochs import advance_to
from tests.unit.devnet.people import OWNER, STRANGER
from tests.unit.devnet.recorded import Replay
from tests.unit.devnet.replaying import replay_check
from tests.unit.devnet.updates import params as update_params
from tests.unit.devnet.updates import seven_prove, updated
from tests.unit.devnet.verified_data import GRANT, PIECE, REGISTRY, SIZE, World, send


@pytest.fixture
def world():
    world = World()
    yield world
    replay_check(world.node)
    world.node.close()


@pytest.fixture
def granted(world):
    assert world.verifier() == 0
    assert world.client().exit_code == 0
    return world


def test_data_cap_goes_from_the_root_over_a_verifier_to_a_client(granted):
    assert granted.state.get(VERIFIERS, granted.id_of(OWNER)).amount == GRANT - SIZE * 4
    assert datacap_of(granted.state, granted.id_of(STRANGER)) == SIZE * 4 * DATACAP_PER_BYTE


def test_only_the_root_makes_verifiers(world):
    params = to_cbor(VerifierParams(OWNER.address, GRANT))

    assert send(world.node, OWNER, REGISTRY, method=2, params=params).exit_code == 18
    assert world.verifier(allowance=255) == 16


def test_a_verifier_gives_no_more_than_it_has(world):
    assert world.client().exit_code == 17, "no verifier yet"
    assert world.verifier() == 0
    assert world.client(allowance=GRANT + 1).exit_code == 16
    assert world.client(who=OWNER).exit_code == 16, "a verifier is no client"
    assert world.client(allowance=100).exit_code == 16


def test_an_allocation_is_paid_with_data_cap(granted):
    receipt = granted.allocate(granted.request(), granted.request())

    assert receipt.exit_code == 0
    answer = from_cbor(TransferReturn, receipt.return_)
    assert answer.from_balance == 2 * SIZE * DATACAP_PER_BYTE
    assert from_cbor(AllocationsResponse, answer.recipient_data).new_allocations == (1, 2)
    row = granted.state.get(allocations_of(granted.id_of(STRANGER)), 2)
    assert (row.provider, row.data, row.size) == (granted.miner.id, PIECE, SIZE)


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 128},
        {"term_min": TERM_MIN - 1},
        {"term_max": TERM_MAX + 1},
        {"term_min": TERM_MAX, "term_max": TERM_MIN},
        {"expiration": 1},
        {"expiration": EXPIRATION_MAX * 2},
        {"provider": 100},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_an_allocation_that_nobody_may_have_is_refused(granted, changes):
    assert granted.allocate(granted.request(**changes)).exit_code == 16
    assert granted.state.keys(allocations_of(granted.id_of(STRANGER))) == []


def test_the_amount_must_be_that_of_the_allocations(granted):
    assert granted.allocate(granted.request(), amount=SIZE * 2).exit_code == 16
    assert granted.allocate(granted.request(), who=OWNER).exit_code == 19, "no data cap"
    assert granted.allocate(granted.request(), to=OWNER.address).exit_code == 18
    assert granted.allocate(*[granted.request()] * 5).exit_code == 19, "more than there is"


def test_a_sector_with_verified_data_counts_ten_times_and_the_cap_is_spent(granted):
    granted.allocate(granted.request())
    proofs, pieces = granted.seal(1, allocation=1)

    receipt = granted.miner.prove(proofs, pieces=pieces)

    assert receipt.exit_code == 0
    sector = granted.miner.reader.sector(1)
    life = sector.expiration - sector.activation
    assert (sector.verified_weight, sector.deal_weight) == (SIZE * life, 0)
    granted.miner.post(sector.deadline)
    claim = granted.state.get(CLAIMS, granted.miner.id)
    assert (claim.raw, claim.quality) == (SIZE, 10 * SIZE)
    row = granted.state.get(data_claims_of(granted.miner.id), 1)
    assert (row.client, row.sector, row.term_start) == (granted.id_of(STRANGER), 1, sector.activation)
    assert granted.state.keys(allocations_of(granted.id_of(STRANGER))) == []
    assert datacap_of(granted.state, VERIFREG) == 0


def test_unverified_data_counts_once(granted):
    proofs, pieces = granted.seal(1)

    assert granted.miner.prove(proofs, pieces=pieces).exit_code == 0

    sector = granted.miner.reader.sector(1)
    assert sector.verified_weight == 0
    assert sector.deal_weight == SIZE * (sector.expiration - sector.activation)


@pytest.mark.parametrize("allocation", [7, 2, 3, 4], ids=["absent", "other size", "too short", "too long"])
def test_a_claim_that_does_not_fit_leaves_the_sector_out(granted, allocation):
    shorter = granted.node.network.max_prove_commit_duration // 2
    terms = [{"term_max": TERM_MIN + shorter}, {"term_min": TERM_MIN + 3 * shorter}]
    requests = [granted.request(**changes) for changes in ({}, {"size": 1024}, *terms)]
    granted.allocate(*requests)
    proofs, pieces = granted.seal(1, allocation=allocation)

    gas = {"gas_limit": 2_000_000_000}
    assert granted.miner.prove(proofs, pieces=pieces, **gas).exit_code == 16
    assert granted.miner.prove(proofs, pieces=pieces, require_all=False, **gas).exit_code == 16, (
        "none is left"
    )
    assert granted.miner.reader.sector(1) is None
    assert granted.state.keys(allocations_of(granted.id_of(STRANGER))) == [1, 2, 3, 4]


def test_verified_data_that_is_snapped_in_counts_ten_times_at_once(granted):
    seven_prove(granted.miner)
    update = updated(granted.miner)
    data = commd_cid(update.tree_d.root)
    assert granted.allocate(granted.request(data=data)).exit_code == 0
    key = VerifiedAllocationKey(granted.id_of(STRANGER), 1)

    receipt = granted.miner.call(
        35, update_params(granted.miner, update, pieces=(PieceActivationManifest(data, SIZE, key, ()),))
    )

    assert receipt.exit_code == 0
    claim = granted.state.get(CLAIMS, granted.miner.id)
    assert (claim.raw, claim.quality) == (SIZE, 10 * SIZE)
    assert granted.state.get(data_claims_of(granted.miner.id), 1).sector == 7


def test_one_allocation_serves_one_sector(granted):
    granted.allocate(granted.request())
    first, pieces = granted.seal(1, allocation=1)
    second, more = granted.seal(2, allocation=1)

    receipt = granted.miner.prove(first | second, pieces=pieces | more, require_all=False)

    answer = from_cbor(BatchReturn, receipt.return_)
    assert (receipt.exit_code, answer.success_count) == (0, 1)
    assert [(code.idx, code.code) for code in answer.fail_codes] == [(1, 17)]
    assert granted.miner.reader.sector(2) is None


def test_claims_are_told_and_lengthened_by_their_client(granted):
    granted.allocate(granted.request(term_max=TERM_MAX - 1000))
    proofs, pieces = granted.seal(1, allocation=1)
    granted.miner.prove(proofs, pieces=pieces)
    asked = to_cbor(GetClaimsParams(granted.miner.id, (1, 9)))
    told = from_cbor(
        GetClaimsReturn, send(granted.node, OWNER, REGISTRY, method=Method.GET_CLAIMS, params=asked).return_
    )
    assert [claim.data for claim in told.claims] == [PIECE]
    assert [(code.idx, code.code) for code in told.batch_info.fail_codes] == [(1, 17)]

    def lengthen(who, term):
        terms = ExtendClaimTermsParams((ClaimTerm(granted.miner.id, 1, term),))
        params = to_cbor(terms)
        receipt = send(granted.node, who, REGISTRY, method=Method.EXTEND_CLAIM_TERMS, params=params)
        return from_cbor(BatchReturn, receipt.return_).success_count

    assert (lengthen(OWNER, TERM_MAX), lengthen(STRANGER, TERM_MAX + 1)) == (0, 0)
    assert lengthen(STRANGER, TERM_MAX) == 1
    assert granted.state.get(data_claims_of(granted.miner.id), 1).term_max == TERM_MAX
    same, paid = (ClaimExtensionRequest(granted.miner.id, 1, TERM_MAX + more) for more in (0, 1))
    assert granted.allocate(extensions=[same], amount=SIZE).exit_code == 16
    assert granted.allocate(extensions=[paid], amount=SIZE).exit_code == 0


def test_data_cap_of_an_expired_allocation_comes_back(granted):
    soon = granted.node.head.height + 10
    granted.allocate(granted.request(expiration=soon), granted.request())
    params = to_cbor(RemoveExpiredAllocationsParams(granted.id_of(STRANGER), ()))
    advance_to(granted.node, soon + 1)

    receipt = send(granted.node, OWNER, REGISTRY, method=Method.REMOVE_EXPIRED_ALLOCATIONS, params=params)

    answer = from_cbor(RemoveExpiredAllocationsReturn, receipt.return_)
    assert (answer.considered, answer.data_cap_recovered) == ((1,), SIZE)
    assert datacap_of(granted.state, granted.id_of(STRANGER)) == 3 * SIZE * DATACAP_PER_BYTE
    assert granted.state.keys(allocations_of(granted.id_of(STRANGER))) == [2]


async def test_a_node_says_since_when_it_runs_and_what_alarms_it(granted):
    replay = Replay(granted.node, {})

    async def ask(method):
        body = {"jsonrpc": "2.0", "id": 1, "method": f"Filecoin.{method}", "params": []}
        return (
            await replay.answer({"path": "/rpc/v1", "token": "admin", "request": json.dumps(body)})
        ).json()

    started = datetime.fromisoformat((await ask("StartTime"))["result"])
    assert timedelta(0) <= datetime.now(UTC) - started < timedelta(hours=1)
    assert (await ask("LogAlerts"))["result"] == []


async def test_nodes_tell_of_verified_data(granted):
    granted.allocate(granted.request(), granted.request())
    proofs, pieces = granted.seal(1, allocation=1)
    granted.miner.prove(proofs, pieces=pieces)
    replay = Replay(granted.node, {})

    async def ask(method, *params):
        body = {"jsonrpc": "2.0", "id": 1, "method": f"Filecoin.{method}", "params": [*params, []]}
        exchange = {"path": "/rpc/v1", "token": "read", "request": json.dumps(body)}
        return (await replay.answer(exchange)).json()["result"]

    client, miner = str(STRANGER.address), str(granted.miner.address)
    assert await ask("StateGetAllocationForPendingDeal", 7) is None
    assert await ask("StateGetAllocationIdForPendingDeal", 7) == 0
    assert list(await ask("StateGetAllocations", client)) == ["2"]
    assert (await ask("StateGetAllocation", client, 2))["Data"] == {"/": str(PIECE)}
    assert await ask("StateGetAllocation", client, 1) is None
    assert (await ask("StateGetClaim", miner, 1))["Sector"] == 1
    assert list(await ask("StateGetClaims", miner)) == ["1"]
    assert list(await ask("StateGetAllAllocations")) == ["2"]
    assert list(await ask("StateGetAllClaims")) == ["1"]
    assert await ask("StateVerifiedClientStatus", client) == str(2 * SIZE)
    assert await ask("StateVerifierStatus", str(OWNER.address)) == str(GRANT - 4 * SIZE)
    assert await ask("StateVerifierStatus", client) is None


NUMBERS = st.integers(0, 2**40)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_requests_come_back_as_they_went(provider, size, term_min, term_max, expiration):
    one = AllocationRequest(provider, PIECE, size, term_min, term_max, expiration)
    whole = AllocationRequests((one, replace(one, size=0)), (ClaimExtensionRequest(provider, 1, term_max),))
    data = to_cbor(whole)

    assert from_cbor(AllocationRequests, data) == whole
    for end in range(0, len(data), 7):
        with pytest.raises(ValueError):  # noqa: PT011  # whichever part is cut
            from_cbor(AllocationRequests, data[:end])
