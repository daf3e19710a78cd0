"""Nonsense from outside: every method and every actor answers with a refusal, never with a panic."""

from __future__ import annotations

import json
import logging
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from poolsite.devnet.actors.invoke import METHODS as ACTOR_METHODS
from poolsite.devnet.actors.verified.allocations import TERM_MIN
from poolsite.devnet.actors.verified.claims import TERM_MAX
from poolsite.devnet.rpc.dispatch import LOTUS, PERMS, Dispatcher
from poolsite.devnet.rpc.methods import METHODS_V0, METHODS_V1
from poolsite.devnet.rpc.params import PARAM_ERRORS
from poolsite.filecoin.actors import market as market_actor
from poolsite.filecoin.actors import verifreg
from poolsite.filecoin.actors.allocations import AllocationRequest, AllocationRequests
from poolsite.filecoin.actors.claims import (
    ClaimTerm,
    ExtendClaimTermsParams,
    GetClaimsParams,
    RemoveExpiredClaimsParams,
)
from poolsite.filecoin.actors.datacap import AllowanceParams, BurnFromParams, TransferParams
from poolsite.filecoin.actors.datacap import Method as TokenMethod
from poolsite.filecoin.actors.market import PublishStorageDealsParams
from poolsite.filecoin.actors.market_deals import (
    BatchActivateDealsParams,
    OnMinerSectorsTerminateParams,
    PieceChange,
    SectorChanges,
    SectorContentChangedParams,
    SectorDeals,
    SettleDealPaymentsParams,
)
from poolsite.filecoin.actors.miner_control import WithdrawBalanceParams
from poolsite.filecoin.actors.miner_proving import (
    DeclareFaultsParams,
    DeclareFaultsRecoveredParams,
    PartitionSectors,
    TerminateSectorsParams,
)
from poolsite.filecoin.actors.miner_sectors import (
    ExpirationExtension2,
    ExtendSectorExpiration2Params,
    PreCommitSectorBatch2Params,
    ProveCommitSectorsNIParams,
    SectorNIActivationInfo,
)
from poolsite.filecoin.address import (
    DATACAP_ACTOR,
    INIT_ACTOR,
    MARKET_ACTOR,
    POWER_ACTOR,
    REWARD_ACTOR,
    VERIFREG_ACTOR,
    id_address,
)
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.cbor import encode
from poolsite.filecoin.cids import commr_cid
from poolsite.filecoin.codec import struct_of, to_cbor
from poolsite.filecoin.keys import key_sign
from poolsite.filecoin.message import Message
from poolsite.filecoin.proof_container import aggregate_container
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.wire.jsonrpc.server import request_handle
from tests.unit.devnet.deals import PIECE, SIZE, Fair, signed_by
from tests.unit.devnet.later import Later
from tests.unit.devnet.people import OWNER, STRANGER, WORKER, chain
from tests.unit.devnet.sealing import SEAL_PROOF, small_miner

MISSING = {"/": "bafy2bzacebff43xnc37znyu7ooresgadvmk6vy3jt6qcci4gvhxciz4bqan2u"}
SEALED = {"/": "bagboea4b5abcaplxzw6svnqgme76lrvngti3klvdfdkhi2pzwqdukd5p7ov35iit"}
CALLS_PER_METHOD = 8
ROUNDS_PER_ACTOR_METHOD = 40
MOVES_TIME = {
    "Devnet.Advance",
    "Devnet.Mine",
    "Devnet.NullRounds",
    "Devnet.Reorg",
    "Devnet.SetHeadBack",
    "Devnet.SetFaults",
    "Devnet.ForeignMessage",
    "Devnet.FailNext",
    "Devnet.SetTime",
    "Devnet.Drain",
    "Filecoin.ChainSetHead",
    "Filecoin.StateWaitMsg",
    "Filecoin.StateWaitMsgLimited",
    "Filecoin.StateGetBeaconEntry",
    "Filecoin.BeaconGetEntry",
}
"""Methods that wait for the chain or move it: they have tests of their own."""
NIL_POINTERS = (
    "Filecoin.MpoolPushMessage",
    "Filecoin.MinerCreateBlock",
    "Filecoin.SyncSubmitBlock",
    "Filecoin.EthGetLogs",
    "Filecoin.EthNewFilter",
    "eth_getLogs",
    "eth_newFilter",
)
"""Lotus itself panics on null here, and the devnet says the same."""


@pytest.fixture(scope="module")
def miner():
    small = small_miner(chain())
    small.add_sectors(1)
    small.wait_open(small.reader.all_partitions()[0][0][0])
    yield small
    small.node.close()


def values(miner):
    """JSON values of all the shapes that parameters have, and some that none has."""
    node = miner.node
    head = [{"/": str(cid)} for cid in node.head.tipset.cids]
    message = {
        "Version": 0,
        "To": str(OWNER.address),
        "From": str(STRANGER.address),
        "Nonce": 0,
        "Value": "1",
        "GasLimit": 0,
        "GasFeeCap": "0",
        "GasPremium": "0",
        "Method": 0,
        "Params": "",
    }
    numbers = [0, 1, -1, 7, 2**63, 2**64, 10**30, 1.5]
    addresses = ["f0", "f01000", "f099", "f0999999", str(miner.address), str(WORKER.address), "<empty>"]
    precommit = {"SealProof": 5, "SectorNumber": 1, "SealedCID": SEALED, "SealRandEpoch": 1, "Expiration": 9}
    template = {"Miner": "f01000", "Parents": head, "Epoch": node.head.height + 1, "Timestamp": 1}
    calls = [message, message | {"To": str(miner.address), "Method": 5, "Params": "gA=="}]
    wrapped = [{"Message": message}, {"Msg": message, "Spec": None}, [message], [{"Msg": message}]]
    return [
        *(None, "", True, [], {}, "AAAA", "x" * 99, head, head[0], MISSING, [MISSING], SEALED, [0, 5], [1.0]),
        *(*numbers, *addresses, *calls, *wrapped, precommit, template),
        *({"MaxFee": "1"}, {"Type": 1, "Data": "AAAA"}),
    ]


def is_readable(param, value):
    try:
        param.decode(value)
    except PARAM_ERRORS:
        return False
    return True


@pytest.mark.parametrize("table", [METHODS_V1, METHODS_V0], ids=["v1", "v0"])
async def test_no_call_makes_a_method_panic(miner, table):
    rng = random.Random(11)
    pool = values(miner)
    panics = {}
    with ThreadPoolExecutor(1) as executor:
        dispatcher = Dispatcher(node=miner.node, methods=table, perms=frozenset(PERMS), executor=executor)
        for name, method in table.items():
            if method.channel or name in MOVES_TIME:
                continue
            fitting = [[v for v in pool if is_readable(param, v)] or pool for param in method.params]
            for _ in range(CALLS_PER_METHOD if method.params or method.raw else 1):
                params = [rng.choice(pool if rng.random() < 0.1 else choice) for choice in fitting]
                if method.raw:
                    params = rng.choices(pool, k=rng.randrange(4))
                request = {"id": 1, "method": name, "params": params}
                body, _ = await request_handle(request, dispatcher, LOTUS)
                assert body is not None
                assert json.dumps(body)
                if body.get("error", {}).get("code") == 0 and name not in NIL_POINTERS:
                    panics[name] = (body["error"]["message"], params)

    assert panics == {}


def random_value(rng, depth=0):
    """Something that CBOR can say."""
    kinds = ["int", "bytes", "null", "bool", "address", "cid"] + (["list"] * 3 if depth < 3 else [])
    kind = rng.choice(kinds)
    if kind == "int":
        return rng.choice((0, 1, 5, 10, 48, 10**6, 2**63 - 1, -1))
    if kind == "bytes":
        return rng.randbytes(rng.choice((0, 1, 2, 32, 96)))
    if kind == "address":
        return bytes(rng.choice((OWNER.address, WORKER.address, id_address(1000))))
    if kind == "list":
        return [random_value(rng, depth + 1) for _ in range(rng.randrange(5))]
    return None if kind in ("null", "cid") else rng.random() < 0.5


def broken(rng, data):
    """The bytes with one of them changed, taken away or doubled."""
    at = rng.randrange(len(data))
    return rng.choice(
        (data[:at] + bytes((rng.randrange(256),)) + data[at + 1 :], data[:at] + data[at + 1 :], data[:at])
    )


def _without_seed(miner):
    """Params of ProveCommitSectorsNI with a short proof."""
    now, kind = miner.node.head.height, RegisteredSealProof.STACKED_DRG_2KIB_V1_2_NI
    sealed = miner.sealed[1]
    info = SectorNIActivationInfo(9, miner.id, commr_cid(sealed.comm_r), 9, now - 1, now + 600_000)
    proof = aggregate_container(int(kind), (b"",))
    params = ProveCommitSectorsNIParams((info,), proof, int(kind), 1, 3, require_activation_success=False)
    return to_cbor(params)


def test_no_broken_params_make_the_market_or_the_registry_panic(miner):
    rng = random.Random(8)
    fair = Fair(miner=miner)
    fair.published(fair.proposal())
    deal = signed_by(fair.client, fair.proposal(label="another"))
    change = SectorChanges(1, 10**7, (PieceChange(PIECE, SIZE, b"\x00"),))
    request = AllocationRequest(miner.id, PIECE, SIZE, TERM_MIN, TERM_MAX, fair.node.head.height + 100)
    transfer = TransferParams(VERIFREG_ACTOR, SIZE, to_cbor(AllocationRequests((request,), ())))
    signature = key_sign(OWNER.key, b"no consent")
    consent = verifreg.RemoveDataCapRequest(OWNER.address, signature)
    removal = verifreg.RemoveDataCapParams(STRANGER.address, SIZE, consent, consent)
    batch = BatchActivateDealsParams((SectorDeals(1, int(SEAL_PROOF), 10**7, (0,)),), True)
    market, registry = market_actor.Method, verifreg.Method
    valid = (
        (MARKET_ACTOR, market.PUBLISH_STORAGE_DEALS, PublishStorageDealsParams((deal,))),
        (MARKET_ACTOR, market.SETTLE_DEAL_PAYMENTS_EXPORTED, SettleDealPaymentsParams(bitfield_of([0, 7]))),
        (MARKET_ACTOR, market.SECTOR_CONTENT_CHANGED_EXPORTED, SectorContentChangedParams((change,))),
        (MARKET_ACTOR, market.ON_MINER_SECTORS_TERMINATE, OnMinerSectorsTerminateParams(9, bitfield_of([1]))),
        (VERIFREG_ACTOR, registry.GET_CLAIMS, GetClaimsParams(miner.id, (1,))),
        (VERIFREG_ACTOR, registry.EXTEND_CLAIM_TERMS, ExtendClaimTermsParams((ClaimTerm(miner.id, 1, 9),))),
        (VERIFREG_ACTOR, registry.REMOVE_EXPIRED_CLAIMS, RemoveExpiredClaimsParams(miner.id, ())),
        (DATACAP_ACTOR, TokenMethod.TRANSFER_EXPORTED, transfer),
        (DATACAP_ACTOR, TokenMethod.INCREASE_ALLOWANCE_EXPORTED, AllowanceParams(OWNER.address, SIZE)),
        (DATACAP_ACTOR, TokenMethod.BURN_FROM_EXPORTED, BurnFromParams(OWNER.address, SIZE)),
        (VERIFREG_ACTOR, registry.REMOVE_VERIFIED_CLIENT_DATA_CAP, removal),
        (MARKET_ACTOR, market.ACTIVATE_DEALS, batch),
    )
    callers = (OWNER, WORKER, STRANGER)
    ids = [fair.state.get("addresses", bytes(who.address)).id for who in callers] + [miner.id]
    codes = set()
    for to, method, params in valid:
        data = struct_of(type(params)).encode(params)
        for _ in range(3 * ROUNDS_PER_ACTOR_METHOD):
            later = Later(fair.node, fair.node.head.height + rng.randrange(1, 10**6))
            codes.add(later.call(rng.choice(ids), to, method=int(method), params=broken(rng, data))[0])

    assert codes >= {0, 16, 18, 21}


def test_no_broken_params_make_a_miner_panic(miner, caplog):
    rng = random.Random(6)
    node = miner.node
    caplog.set_level(logging.ERROR)
    (deadline, _), _ = miner.reader.all_partitions()[0]
    precommit = PreCommitSectorBatch2Params((miner.seal(5, node.head.height - 1),))
    entry = (PartitionSectors(deadline, 0, bitfield_of([1])),)
    extension = ExpirationExtension2(deadline, 0, bitfield_of([1]), (), 2_000_000)
    valid = {
        28: to_cbor(precommit),
        5: miner.post_params(deadline)[:120],
        9: to_cbor(TerminateSectorsParams(entry)),
        10: to_cbor(DeclareFaultsParams(entry)),
        11: to_cbor(DeclareFaultsRecoveredParams(entry)),
        32: to_cbor(ExtendSectorExpiration2Params((extension,))),
        16: to_cbor(WithdrawBalanceParams(10**18)),
        36: _without_seed(miner),
    }

    for method, params in valid.items():
        for _ in range(ROUNDS_PER_ACTOR_METHOD):
            message = Message(
                to=miner.address,
                from_=rng.choice((OWNER, WORKER)).address,
                method=method,
                params=broken(rng, params),
            )
            node.estimator.run(message, node.head.tipset)

    assert [record.getMessage() for record in caplog.records] == []


def test_no_params_make_an_actor_panic(miner, caplog):
    rng = random.Random(5)
    node = miner.node
    receivers = {
        "account": OWNER.address,
        "storageminer": miner.address,
        "init": INIT_ACTOR,
        "storagepower": POWER_ACTOR,
        "reward": REWARD_ACTOR,
        "storagemarket": MARKET_ACTOR,
        "verifiedregistry": VERIFREG_ACTOR,
        "datacap": DATACAP_ACTOR,
        "multisig": id_address(80),
    }
    caplog.set_level(logging.ERROR)

    for kind, to in receivers.items():
        for method in ACTOR_METHODS[kind]:
            for _ in range(ROUNDS_PER_ACTOR_METHOD):
                message = Message(
                    to=to,
                    from_=rng.choice((OWNER, WORKER)).address,
                    value=AttoFil(rng.choice((0, 1, 10**18))),
                    method=method,
                    params=encode([random_value(rng) for _ in range(rng.randrange(7))]),
                )
                node.estimator.run(message, node.head.tipset)

    assert [record.getMessage() for record in caplog.records] == []
