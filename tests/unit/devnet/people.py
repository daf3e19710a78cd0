"""Accounts with funds on a small chain, and sending from them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from poolsite.devnet.clock import ManualClock
from poolsite.devnet.estimation import Spec
from poolsite.devnet.node import Devnet
from poolsite.devnet.profile import Profile
from poolsite.filecoin.address import Address
from poolsite.filecoin.amounts import FIL, AttoFil
from poolsite.filecoin.keys import KeyInfo, key_address, key_generate
from poolsite.filecoin.message import Message, Receipt, SignedMessage
from poolsite.filecoin.signing import message_sign


def person(name: str, key_type: str = "secp256k1") -> Person:
    """Always the same key for a name."""
    seed = hashlib.sha256(f"{key_type} {name}".encode()).digest()
    info = key_generate(key_type, random_bytes=lambda n: seed[:n])
    return Person(info, key_address(info))


@dataclass(frozen=True)
class Person:
    """A key with its address."""

    key: KeyInfo
    address: Address


OWNER = person("owner")
WORKER = person("worker", "bls")
STRANGER = person("stranger")


def chain(
    path: Path | str = ":memory:", *, network: str = "test", profile: Profile | None = None, **funds: int
) -> Devnet:
    """A new devnet on which the three people have 10,000 FIL each."""
    people = (OWNER, WORKER, STRANGER)
    return Devnet(
        path,
        network=network,
        clock=ManualClock(),
        funds={who.address: funds.get("each", 10_000 * FIL) for who in people},
        profile=profile or Profile(null_free=True),
    )


def signed(node: Devnet, who: Person, to: Address, **fields: Any) -> SignedMessage:
    """A message with estimated gas and the next nonce, unless `fields` say otherwise."""
    message = Message(
        to=to,
        from_=who.address,
        nonce=fields.pop("nonce", None) if "nonce" in fields else node.mempool.next_nonce(who.address),
        value=AttoFil(fields.pop("value", 0)),
        method=fields.pop("method", 0),
        params=fields.pop("params", b""),
    )
    message = replace(message, **fields)
    if message.gas_limit == 0:
        message = node.estimator.message_gas(message, Spec(), node.head.tipset)
    if message.gas_fee_cap == 0:
        message = replace(message, gas_fee_cap=AttoFil(10**9), gas_premium=AttoFil(100_000))
    return message_sign(who.key, message, chain_id=node.network.eth_chain_id)


def land(node: Devnet, message: SignedMessage) -> Receipt:
    """Push a message and let it be executed."""
    node.mempool.push(message)
    node.mine(2)
    found = node.search.find(message.cid, node.head.tipset)
    assert found is not None, "the message did not land"
    return found.receipt


def send(node: Devnet, who: Person, to: Address, **fields: Any) -> Receipt:
    """Sign, push and land."""
    return land(node, signed(node, who, to, **fields))
