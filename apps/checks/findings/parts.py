"""Names of what may be broken, by which findings of one cause know each other (`Finding.breaks`, `needs`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from apps.blocks.models import Round
from apps.blocks.states import RoundState
from apps.miners.models import Miner
from apps.proving.models import Deadline

NODE: Final = "node"
"""A node that can be read."""
DISK: Final = "console-disk"
"""Room on the console's disk, where its database and logs are."""
DATABASE: Final = "database"
"""A database that answers in time."""
FEES: Final = "fees"
"""Fee caps above the base fee."""


def key_part(address: str) -> str:
    """Return the name of the signer that holds a key."""
    return f"key:{address}"


def prover_part(miner: Miner) -> str:
    """Return the name of the program that makes a miner's proofs."""
    return f"prover:{miner.pk}"


def host_part(tenant_id: int, name: str) -> str:
    """Return the name of a tenant's host."""
    return f"host:{tenant_id}/{name}"


def store_part(tenant_id: int, name: str) -> str:
    """Return the name of a tenant's store."""
    return f"store:{tenant_id}/{name}"


def process_part(name: str) -> str:
    """Return the name of a process of the console."""
    return f"process:{name}"


def sender_part(address: str) -> str:
    """Return the name of what an address may send."""
    return f"sender:{address}"


def window_part(miner_id: int, deadline: int) -> str:
    """Return the name of the proof of a miner's deadline."""
    return f"window:{miner_id}/{deadline}"


def faults_part(miner_id: int) -> str:
    """Return the name of a miner's faulty sectors."""
    return f"faults:{miner_id}"


def _senders(miner: Miner) -> list[str]:
    """Return the addresses that may send a miner's proofs."""
    return [one for one in dict.fromkeys((miner.worker, *miner.control)) if one]


def round_parts(miner: Miner, row: Round) -> tuple[str, ...]:
    """Return what may have broken a round, by its outcome; nothing where that is the chain's doing."""
    signer, prover = key_part(miner.worker), prover_part(miner)
    parts = {
        RoundState.SIGNER_AWAY: (signer,),
        RoundState.SIGNER_REFUSED: (signer,),
        RoundState.PROOF_TIMEOUT: (prover,),
        RoundState.PROOF_REFUSED: (prover,),
        RoundState.NODE_AWAY: (NODE,),
        RoundState.LATE: (signer, prover, NODE, DATABASE),
    }
    return parts.get(RoundState(row.state), ())


def window_parts(miner: Miner, row: Deadline) -> tuple[tuple[str, ...], ...]:
    """Return, for each thing that a window's next proof lacks, what may have broken it."""
    keys = tuple(map(key_part, _senders(miner)))
    sends = tuple(map(sender_part, _senders(miner)))
    parts = {
        "host": (prover_part(miner),),
        "store": tuple(store_part(miner.tenant_id, name) for name in row.stores),
        "signer": keys,
        "policy": keys,
        "balance": sends,
        "sender": sends,
        "nonce": sends,
        "head": (NODE,),
    }
    return tuple(parts.get(name, ()) for name in row.unmet_preconditions) or ((),)


def missed_parts(miner: Miner, row: Deadline | None, *, is_proved: bool) -> tuple[str, ...]:
    """Return what a missed window may have been missed by: a proof that was made was not sent in time."""
    if is_proved:
        return (*map(key_part, _senders(miner)), *map(sender_part, _senders(miner)), NODE, FEES, DATABASE)
    stores = () if row is None else row.stores
    return (prover_part(miner), *(store_part(miner.tenant_id, name) for name in stores))


def needs_of(parts: Iterable[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """Return what may have broken objects, each answer once."""
    return tuple(dict.fromkeys(parts))
