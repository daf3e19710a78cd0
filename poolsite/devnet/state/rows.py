"""The rows of the chain's state: what each actor remembers.

Miners, sectors, deals, power and verified data have modules of their own.  The real chain keeps the same
facts in HAMTs and AMTs; here each is a row of a table.  Source: builtin-actors
actors/{init,account,power,reward,miner,market,multisig}/src/state.rs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.devnet.state.records import Big  # row codecs read the annotations
from poolsite.filecoin.address import Address  # row codecs read the annotations

ACTORS: Final = "actors"
"""Actor id to `Actor`."""
ADDRESSES: Final = "addresses"
"""Bytes of a robust address to `ActorId`."""
SYSTEM: Final = "system"
"""The singletons: "init", "power", "reward", "verifreg", "market", "failures"."""
CRON: Final = "cron"
"""Epoch to `CronEvents`."""
ESCROWS: Final = "escrows"
"""Actor id to `Escrow` of the market actor."""
MULTISIGS: Final = "multisigs"
"""Actor id to `Multisig`."""


@dataclass(frozen=True, slots=True)
class Actor:
    """What every actor has."""

    kind: str
    """Name of its code: account, storageminer, multisig, ..."""
    nonce: int
    """Next nonce of a sender."""
    balance: Big
    """attoFIL, locked parts included."""
    address: Address | None
    """Key address of an account, f2 address of a created actor."""
    delegated: Address | None = None
    """f4 address, for placeholders and Ethereum accounts."""


@dataclass(frozen=True, slots=True)
class ActorId:
    """An entry of the init actor's address map."""

    id: int
    """Actor id."""


@dataclass(frozen=True, slots=True)
class InitState:
    """The init actor."""

    next_id: int
    """Id of the next actor to be created."""
    network: str
    """Network name."""


@dataclass(frozen=True, slots=True)
class InjectedFailure:
    """Coming messages that shall fail."""

    method: int
    code: int
    left: int
    """How many."""


@dataclass(frozen=True, slots=True)
class InjectedFailures:
    """Faults that travel on chain."""

    failures: tuple[InjectedFailure, ...]


@dataclass(frozen=True, slots=True)
class CronEvents:
    """What is due in one epoch."""

    miners: tuple[int, ...]
    """Miners whose current deadline ends."""


@dataclass(frozen=True, slots=True)
class Escrow:
    """A market balance."""

    amount: Big
    locked: Big


@dataclass(frozen=True, slots=True)
class MultisigProposal:
    """A pending multisig transaction."""

    id: int
    to: Address
    value: Big
    method: int
    params: bytes
    approved: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Multisig:
    """A multisig actor."""

    signers: tuple[int, ...]
    threshold: int
    next_id: int
    initial: Big
    start: int
    unlock: int
    pending: tuple[MultisigProposal, ...]
