"""The data cap token: what it tells, who may spend it, and how two verifiers take it back."""

from __future__ import annotations

import pytest

from poolsite.devnet.actors.ledger import MARKET, POWER
from poolsite.devnet.actors.verified.datacap import allowance_of, datacap_of
from poolsite.devnet.actors.verified.token import INFINITE_ALLOWANCE
from poolsite.devnet.consensus import tipset_execute
from poolsite.filecoin.actors.allocations import DATACAP_PER_BYTE
from poolsite.filecoin.actors.datacap import (
    AllowanceParams,
    BurnFromParams,
    BurnFromReturn,
    BurnParams,
    DestroyParams,
    GetAllowanceParams,
    Method,
    MintParams,
    OwnerParams,
    RevokeAllowanceParams,
    TransferFromParams,
    TransferParams,
)
from poolsite.filecoin.actors.decode import return_decode
from poolsite.filecoin.actors.power import Method as PowerMethod
from poolsite.filecoin.actors.power import MinerPowerParams
from poolsite.filecoin.actors.verifreg import Method as RegistryMethod
from poolsite.filecoin.actors.verifreg import (
    RemoveDataCapParams,
    RemoveDataCapRequest,
    VerifierParams,
    removal_signed,
)
from poolsite.filecoin.address import id_address
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.keys import key_sign
from tests.unit.devnet.people import OWNER, STRANGER, WORKER, chain, person, send
from tests.unit.devnet.replaying import replay_check
from tests.unit.devnet.verified_data import GRANT, REGISTRY, TOKEN, World

BYTE = DATACAP_PER_BYTE
NOBODY = person("nobody")
LIMIT = 500_000_000
"""Gas of one's own, so that a refusal lands."""


@pytest.fixture
def world():
    """A verifier (OWNER) that gave a client (STRANGER) 8 KiB of data cap."""
    world = World()
    assert world.verifier() == 0
    assert world.client(allowance=8192).exit_code == 0
    yield world
    replay_check(world.node)
    world.node.close()


def call(world, who, method, params=b"", to=TOKEN):
    return send(world.node, who, to, method=int(method), params=params, gas_limit=LIMIT)


def asked(world, method, params=b"", to=TOKEN, kind="datacap"):
    """What a method answers, decoded."""
    receipt = call(world, STRANGER, method, params, to=to)
    assert receipt.exit_code == 0
    return return_decode(kind, int(method), receipt.return_)


def refusal(world, who, method, params, to=TOKEN):
    """The exit code and the text with which a call lands."""
    receipt = call(world, who, method, params, to=to)
    node = world.node
    executed = tipset_execute(node.chain, node.chain.parent(node.head.tipset).tipset, node.rules)
    [error] = [applied.error for applied in executed.applied if applied.receipt == receipt]
    return receipt.exit_code, error


def test_the_token_names_itself(world):
    assert asked(world, Method.NAME_EXPORTED) == "DataCap"
    assert asked(world, Method.SYMBOL_EXPORTED) == "DCAP"
    assert asked(world, Method.GRANULARITY_EXPORTED) == BYTE


def test_supply_and_balances_are_told(world):
    assert asked(world, Method.TOTAL_SUPPLY_EXPORTED) == str(8192 * BYTE)
    assert asked(world, Method.BALANCE_EXPORTED, to_cbor(OwnerParams(STRANGER.address))) == str(8192 * BYTE)
    unknown = to_cbor(OwnerParams(NOBODY.address))
    assert asked(world, Method.BALANCE_EXPORTED, unknown) == "0"


def test_a_client_lets_the_market_spend_what_it_gets(world):
    params = to_cbor(GetAllowanceParams(STRANGER.address, id_address(MARKET)))

    assert asked(world, Method.ALLOWANCE_EXPORTED, params) == str(INFINITE_ALLOWANCE)


def test_allowances_grow_shrink_and_go(world):
    more = to_cbor(AllowanceParams(WORKER.address, 100 * BYTE))
    less = to_cbor(AllowanceParams(WORKER.address, 30 * BYTE))

    assert asked(world, Method.INCREASE_ALLOWANCE_EXPORTED, more) == str(100 * BYTE)
    assert asked(world, Method.DECREASE_ALLOWANCE_EXPORTED, less) == str(70 * BYTE)
    gone = to_cbor(RevokeAllowanceParams(WORKER.address))
    assert asked(world, Method.REVOKE_ALLOWANCE_EXPORTED, gone) == str(70 * BYTE)
    assert allowance_of(world.state, world.id_of(STRANGER), world.id_of(WORKER)) == 0
    assert asked(world, Method.DECREASE_ALLOWANCE_EXPORTED, less) == "0", "never below nothing"


def test_an_operator_burns_what_it_may_spend(world):
    asked(
        world,
        Method.INCREASE_ALLOWANCE_EXPORTED,
        to_cbor(AllowanceParams(WORKER.address, 100 * BYTE)),
    )

    receipt = call(
        world,
        WORKER,
        Method.BURN_FROM_EXPORTED,
        to_cbor(BurnFromParams(STRANGER.address, 60 * BYTE)),
    )

    left = from_cbor(BurnFromReturn, receipt.return_)
    assert (left.balance, left.allowance) == (8132 * BYTE, 40 * BYTE)


def test_burnt_data_cap_is_gone(world):
    assert asked(world, Method.BURN_EXPORTED, to_cbor(BurnParams(192 * BYTE))) == {
        "Balance": str(8000 * BYTE)
    }
    assert asked(world, Method.TOTAL_SUPPLY_EXPORTED) == str(8000 * BYTE)


STATE = "state transaction failed: "


@pytest.mark.parametrize(
    ("who", "method", "params", "code", "text"),
    [
        (
            WORKER,
            Method.MINT_EXPORTED,
            to_cbor(MintParams(WORKER.address, BYTE, ())),
            18,
            "is not one of supported",
        ),
        (
            WORKER,
            Method.DESTROY_EXPORTED,
            to_cbor(DestroyParams(STRANGER.address, BYTE)),
            18,
            "is not one of supported",
        ),
        (
            STRANGER,
            Method.TRANSFER_EXPORTED,
            to_cbor(TransferParams(WORKER.address, BYTE, b"")),
            18,
            "(governor is f06)",
        ),
        (
            STRANGER,
            Method.TRANSFER_EXPORTED,
            to_cbor(TransferParams(NOBODY.address, BYTE, b"")),
            16,
            "to must be ID address",
        ),
        (
            STRANGER,
            Method.TRANSFER_EXPORTED,
            to_cbor(TransferParams(REGISTRY, BYTE // 2, b"")),
            16,
            f'{STATE}amount TokenAmount(0.5) for "transfer" must be a multiple of {BYTE}',
        ),
        (
            STRANGER,
            Method.TRANSFER_EXPORTED,
            to_cbor(TransferParams(REGISTRY, -BYTE, b"")),
            16,
            f'{STATE}value TokenAmount(-1.0) for "transfer" must be non-negative',
        ),
        (
            STRANGER,
            Method.TRANSFER_EXPORTED,
            to_cbor(TransferParams(REGISTRY, BYTE, b"\xff")),
            21,
            "receiver hook error from Address { payload: ID(6) }: exit_code=ExitCode { value: 21 }",
        ),
        (
            WORKER,
            Method.TRANSFER_FROM_EXPORTED,
            to_cbor(TransferFromParams(STRANGER.address, REGISTRY, BYTE, b"")),
            19,
            "attempted to utilise TokenAmount(1.0) of allowance TokenAmount(0.0) set by Address",
        ),
        (
            STRANGER,
            Method.TRANSFER_FROM_EXPORTED,
            to_cbor(TransferFromParams(STRANGER.address, REGISTRY, BYTE, b"")),
            16,
            f"{STATE}operator cannot be the same as the debited address f0",
        ),
        (
            STRANGER,
            Method.TRANSFER_FROM_EXPORTED,
            to_cbor(TransferFromParams(STRANGER.address, WORKER.address, BYTE, b"")),
            18,
            "(governor is f06)",
        ),
        (
            STRANGER,
            Method.BURN_EXPORTED,
            to_cbor(BurnParams(9000 * BYTE)),
            20,
            "cannot be negative, cannot apply delta of TokenAmount(-9000.0) to TokenAmount(8192.0)",
        ),
        (
            WORKER,
            Method.BURN_EXPORTED,
            to_cbor(BurnParams(BYTE)),
            19,
            "balance of TokenAmount(0.0) by TokenAmount(-1.0)",
        ),
        (
            STRANGER,
            Method.INCREASE_ALLOWANCE_EXPORTED,
            to_cbor(AllowanceParams(WORKER.address, -BYTE)),
            16,
            f'{STATE}value TokenAmount(-1.0) for "increase allowance delta" must be non-negative',
        ),
    ],
    ids=lambda value: value.name.lower() if isinstance(value, Method) else None,
)
def test_the_token_refuses_as_the_real_one(world, who, method, params, code, text):
    got = refusal(world, who, method, params)

    assert got[0] == code
    assert text in got[1]
    assert datacap_of(world.state, world.id_of(STRANGER)) == 8192 * BYTE


def consents(world, amount, signers=(OWNER, WORKER), proposal=0):
    """The parameters with which the root takes data cap away, signed by two verifiers."""
    signed = removal_signed(id_address(world.id_of(STRANGER)), amount, proposal_id=proposal)
    requests = [RemoveDataCapRequest(who.address, key_sign(who.key, signed)) for who in signers]
    return to_cbor(RemoveDataCapParams(STRANGER.address, amount, *requests))


def removed(world, params):
    return world.by_root(RegistryMethod.REMOVE_VERIFIED_CLIENT_DATA_CAP, params)


def test_two_verifiers_and_the_root_take_data_cap_away(world):
    assert world.verifier(WORKER) == 0

    assert removed(world, consents(world, 1000)) == 0
    assert datacap_of(world.state, world.id_of(STRANGER)) == 7192 * BYTE
    assert removed(world, consents(world, 1000)) == 16, "the same consents do not count again"
    assert removed(world, consents(world, GRANT, proposal=1)) == 0, "no more than there is"
    assert datacap_of(world.state, world.id_of(STRANGER)) == 0


def test_data_cap_stays_without_consent_of_two_verifiers(world):
    assert removed(world, consents(world, 1000)) == 17, "one of them is no verifier"
    assert world.verifier(WORKER) == 0
    assert removed(world, consents(world, 1000, signers=(OWNER, OWNER))) == 16
    assert removed(world, consents(world, 1000, proposal=5)) == 16, "signed for another request"
    by_hand = call(
        world, OWNER, RegistryMethod.REMOVE_VERIFIED_CLIENT_DATA_CAP, consents(world, 1000), to=REGISTRY
    )
    assert by_hand.exit_code == 18
    assert datacap_of(world.state, world.id_of(STRANGER)) == 8192 * BYTE


def test_only_the_token_tells_the_registry_of_data_cap(world):
    params = to_cbor(VerifierParams(STRANGER.address, 1))

    assert call(world, OWNER, RegistryMethod.UNIVERSAL_RECEIVER_HOOK, params, to=REGISTRY).exit_code == 18
    assert call(world, OWNER, RegistryMethod.CLAIM_ALLOCATIONS, params, to=REGISTRY).exit_code == 18


def test_the_power_actor_tells_contracts_of_power():
    node = chain()
    power, built_in = id_address(POWER), to_cbor(MinerPowerParams(1000))

    def ask(method, params=b""):
        receipt = send(node, OWNER, power, method=int(method), params=params, gas_limit=LIMIT)
        return receipt.exit_code, return_decode("power", int(method), receipt.return_)

    raw = node.profile.genesis_power
    assert ask(PowerMethod.MINER_POWER_EXPORTED, built_in) == (
        0,
        {"RawBytePower": str(raw), "QualityAdjPower": str(raw)},
    )
    assert ask(PowerMethod.CURRENT_TOTAL_POWER_MINER_RAW_POWER_EXPORTED, built_in) == (
        0,
        {"RawBytePower": str(raw), "MeetsConsensusMinimum": True},
    )
    assert ask(PowerMethod.CURRENT_TOTAL_POWER_NETWORK_RAW_POWER_EXPORTED) == (0, str(raw))
    assert ask(PowerMethod.CURRENT_TOTAL_POWER_MINER_COUNT_EXPORTED) == (0, 1)
    assert ask(PowerMethod.CURRENT_TOTAL_POWER_MINER_CONSENSUS_COUNT_EXPORTED) == (0, 1)
    unknown = to_cbor(MinerPowerParams(999))
    assert ask(PowerMethod.MINER_POWER_EXPORTED, unknown) == (17, None)
    assert ask(PowerMethod.CURRENT_TOTAL_POWER_MINER_RAW_POWER_EXPORTED, unknown) == (16, None)
    replay_check(node)
    node.close()
