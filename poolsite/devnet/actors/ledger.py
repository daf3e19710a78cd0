"""Balances, addresses and the creation of actors: what the machine does itself, apart from actors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from poolsite.devnet.state.rows import ACTORS, ADDRESSES, SYSTEM, Actor, ActorId, InitState
from poolsite.filecoin.address import ID, Address, address_to_bytes, id_address

if TYPE_CHECKING:
    from poolsite.devnet.state.tables import Draft, State

INIT: Final = 1
REWARD: Final = 2
CRON: Final = 3
POWER: Final = 4
MARKET: Final = 5
VERIFREG: Final = 6
DATACAP: Final = 7
EAM: Final = 10
VERIFREG_ROOT: Final = 80
RESERVE: Final = 90
BURNT: Final = 99
"""Ids of the singleton actors."""

KIND_ACCOUNT: Final = "account"
KIND_MINER: Final = "storageminer"
KIND_MULTISIG: Final = "multisig"
KIND_PLACEHOLDER: Final = "placeholder"
KIND_ETH: Final = "ethaccount"
SENDER_KINDS: Final = (KIND_ACCOUNT, KIND_ETH, KIND_PLACEHOLDER)
"""Kinds of actors that may send messages of their own."""


class NoFunds(Exception):
    """An actor has less than it should give."""


def actor_get(state: Draft | State, actor_id: int) -> Actor | None:
    """Return the actor, or None."""
    actor: Actor | None = state.get(ACTORS, actor_id)
    return actor


def resolve(state: Draft | State, address: Address) -> int | None:
    """Return the id of the actor that an address names, or None; ids are not checked for existence."""
    if address.protocol == ID:
        return address.actor_id
    entry: ActorId | None = state.get(ADDRESSES, address_to_bytes(address))
    return None if entry is None else entry.id


def resolve_existing(state: Draft | State, address: Address) -> int | None:
    """Like `resolve`, but None also for an id without an actor."""
    actor_id = resolve(state, address)
    return None if actor_id is None or state.get(ACTORS, actor_id) is None else actor_id


def key_address(state: Draft | State, actor_id: int) -> Address | None:
    """Return the key of an account, f4 of an Ethereum account, or None."""
    actor = actor_get(state, actor_id)
    if actor is None:
        return None
    if actor.kind == KIND_ACCOUNT:
        return actor.address
    return actor.delegated if actor.kind in (KIND_ETH, KIND_PLACEHOLDER) else None


def address_of(state: Draft | State, actor_id: int) -> Address:
    """Return the robust address of an actor where it has one, else its id address."""
    actor = actor_get(state, actor_id)
    if actor is None or (actor.address is None and actor.delegated is None):
        return id_address(actor_id)
    return actor.address or actor.delegated or id_address(actor_id)


def actor_create(
    draft: Draft, *, kind: str, address: Address | None, delegated: Address | None = None
) -> int:
    """Return the next id to a new actor with no funds and register its addresses."""
    init: InitState = draft.get(SYSTEM, "init")
    draft.put(SYSTEM, "init", replace(init, next_id=init.next_id + 1))
    draft.put(
        ACTORS, init.next_id, Actor(kind=kind, nonce=0, balance=0, address=address, delegated=delegated)
    )
    for name in (address, delegated):
        if name is not None:
            draft.put(ADDRESSES, address_to_bytes(name), ActorId(init.next_id))
    return init.next_id


def credit(draft: Draft, actor_id: int, amount: int) -> None:
    """Add to a balance."""
    if amount:
        actor: Actor = draft.get(ACTORS, actor_id)
        draft.put(ACTORS, actor_id, replace(actor, balance=actor.balance + amount))


def debit(draft: Draft, actor_id: int, amount: int) -> None:
    """Subtract from a balance.  Raises NoFunds."""
    if amount:
        actor: Actor = draft.get(ACTORS, actor_id)
        if actor.balance < amount:
            raise NoFunds(f"{actor_id} has {actor.balance}, needs {amount}")
        draft.put(ACTORS, actor_id, replace(actor, balance=actor.balance - amount))


def transfer(draft: Draft, source: int, target: int, amount: int) -> None:
    """Move funds between two actors.  Raises NoFunds."""
    debit(draft, source, amount)
    credit(draft, target, amount)
