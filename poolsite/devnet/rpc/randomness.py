"""Randomness of the chain: drawn from tickets and from the beacon, and the beacon's entries."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.lottery import FutureRandomness, Lottery
from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.dispatch import Method
from poolsite.devnet.rpc.forms import tipset_exact
from poolsite.wire.jsonrpc.messages import RpcError

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.filecoin.cids import Cid

Key = tuple["Cid", ...]


def state_randomness_tickets(node: Devnet, tag: int, epoch: int, entropy: bytes, key: Key) -> Any:
    return _randomness(node, key, lambda lottery: lottery.tickets(tag, epoch, entropy), "chain")


def state_randomness_beacon(node: Devnet, tag: int, epoch: int, entropy: bytes, key: Key) -> Any:
    return _randomness(node, key, lambda lottery: lottery.beacon(tag, epoch, entropy), "beacon")


def state_digest_tickets(node: Devnet, epoch: int, key: Key) -> Any:
    return _randomness(node, key, lambda lottery: lottery.ticket_digest(epoch), "chain")


def state_digest_beacon(node: Devnet, epoch: int, key: Key) -> Any:
    return _randomness(node, key, lambda lottery: lottery.beacon_digest(epoch), "beacon")


def _randomness(node: Devnet, key: Key, draw: Any, kind: str) -> str:
    base = tipset_exact(node, key, prefix="loading tipset key: ")
    try:
        drawn: bytes = draw(Lottery(node.chain, base))
    except FutureRandomness as error:
        raise RpcError(f"getting {kind} randomness: {error}") from None
    return base64.b64encode(drawn).decode()


def chain_randomness_tickets(node: Devnet, key: Key, tag: int, epoch: int, entropy: bytes) -> Any:
    return state_randomness_tickets(node, tag, epoch, entropy, key)


def chain_randomness_beacon(node: Devnet, key: Key, tag: int, epoch: int, entropy: bytes) -> Any:
    return state_randomness_beacon(node, tag, epoch, entropy, key)


async def state_beacon_entry(node: Devnet, epoch: int) -> Any:
    """Return the entry of an epoch; of a future one, once its time has come."""
    while epoch > node.head.height + 1 + node.nulls:
        await asyncio.sleep(node.clock.wall_seconds(node.network.epoch_s) / 4)
    entry = node.beacon.entry(max(epoch, 0))
    return {"Round": entry.round, "Data": base64.b64encode(entry.data).decode()}


METHODS: Final = (
    Method("StateGetBeaconEntry", "read", (p.EPOCH,), state_beacon_entry),
    Method(
        "StateGetRandomnessFromTickets",
        "read",
        (p.INT, p.EPOCH, p.BYTES, p.TIPSET_KEY),
        state_randomness_tickets,
    ),
    Method(
        "StateGetRandomnessFromBeacon",
        "read",
        (p.INT, p.EPOCH, p.BYTES, p.TIPSET_KEY),
        state_randomness_beacon,
    ),
)

METHODS_V1: Final = (
    Method("StateGetRandomnessDigestFromTickets", "read", (p.EPOCH, p.TIPSET_KEY), state_digest_tickets),
    Method("StateGetRandomnessDigestFromBeacon", "read", (p.EPOCH, p.TIPSET_KEY), state_digest_beacon),
)

METHODS_V0: Final = (
    Method(
        "ChainGetRandomnessFromTickets",
        "read",
        (p.TIPSET_KEY, p.INT, p.EPOCH, p.BYTES),
        chain_randomness_tickets,
    ),
    Method(
        "ChainGetRandomnessFromBeacon",
        "read",
        (p.TIPSET_KEY, p.INT, p.EPOCH, p.BYTES),
        chain_randomness_beacon,
    ),
    Method("BeaconGetEntry", "read", (p.EPOCH,), state_beacon_entry),
)
