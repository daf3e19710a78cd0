"""Messages that are Ethereum transactions, and those that are not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from poolsite.filecoin.address import (
    EAM_ACTOR,
    Address,
    actor_address,
    delegated_address,
    id_address,
    secp256k1_address,
)
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.ethereum import (
    METHOD_CREATE_EXTERNAL,
    METHOD_INVOKE_EVM,
    is_self_transfer,
    signing_bytes,
    transaction_hash,
    transfer_method,
)
from poolsite.filecoin.ethereum_transaction import BadTransaction
from poolsite.filecoin.message import Message
from poolsite.filecoin.rlp import rlp_encode
from poolsite.filecoin.signature import Signature

CALL = Message(
    to=delegated_address(10, b"\x11" * 20),
    from_=delegated_address(10, b"\x22" * 20),
    method=METHOD_INVOKE_EVM,
    gas_limit=1,
    params=b"\x43abc",
)


@pytest.mark.parametrize(
    ("item", "encoded"),
    [
        (b"dog", "83646f67"),
        ([b"cat", b"dog"], "c88363617483646f67"),
        (b"", "80"),
        ([], "c0"),
        (0, "80"),
        (15, "0f"),
        (1024, "820400"),
        ([[], [[]], [[], [[]]]], "c7c0c1c0c3c0c1c0"),
        (
            b"Lorem ipsum dolor sit amet, consectetur adipisicing elit",
            "b838" + b"Lorem ipsum dolor sit amet, consectetur adipisicing elit".hex(),
        ),
    ],
)
def test_rlp_of_the_ethereum_wiki(item: object, encoded: str) -> None:
    assert rlp_encode(item).hex() == encoded


@pytest.mark.parametrize("sender", [CALL.from_, secp256k1_address(b"\x02" * 65)], ids=["f4", "f1"])
def test_a_transfer_to_oneself_calls_nothing(sender: Address) -> None:
    transfer = Message(to=sender, from_=sender, method=transfer_method(sender), value=AttoFil(7))

    assert is_self_transfer(transfer)
    for other in ({"to": CALL.to}, {"method": 1}, {"params": b"\x41a"}):
        assert not is_self_transfer(dataclasses.replace(transfer, **other))


def test_an_ethereum_sender_can_sign_a_transfer_to_itself() -> None:
    itself = dataclasses.replace(CALL, to=CALL.from_, params=b"")

    assert is_self_transfer(itself)
    assert rlp_encode(b"\x22" * 20) in signing_bytes(itself, chain_id=314)


def test_call_data_is_unwrapped() -> None:
    assert rlp_encode(b"abc") in signing_bytes(CALL, chain_id=314)
    assert signing_bytes(CALL, chain_id=314) != signing_bytes(CALL, chain_id=315)


def test_a_deployment_has_no_receiver() -> None:
    deploy = dataclasses.replace(CALL, to=EAM_ACTOR, method=METHOD_CREATE_EXTERNAL)

    assert rlp_encode(b"\x11" * 20) not in signing_bytes(deploy, chain_id=314)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"method": 0}, "invalid methodnum 0"),
        ({"to": actor_address(b"x")}, "invalid Filecoin Eth address"),
        ({"to": delegated_address(32, b"x")}, "invalid Filecoin Eth address"),
        ({"params": b"\x01"}, "failed to read params"),
        ({"params": b"\x41"}, "failed to read params"),
        ({"params": b"\x41aa"}, "extra data found"),
    ],
)
def test_what_is_no_transaction(change: dict[str, Any], text: str) -> None:
    with pytest.raises(BadTransaction, match=text):
        signing_bytes(dataclasses.replace(CALL, **change), chain_id=314)


def test_a_short_signature_makes_no_transaction() -> None:
    with pytest.raises(BadTransaction):
        transaction_hash(CALL, Signature(3, bytes(64)), chain_id=314)
    assert (
        len(
            transaction_hash(dataclasses.replace(CALL, to=id_address(5)), Signature(3, bytes(65)), chain_id=1)
        )
        == 32
    )
