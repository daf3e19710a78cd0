"""Faults that travel on chain: messages of the built-in miner's owner to the system actor f00.

So every node that follows the chain meets the same faults at the same place, and a replay gives the same
state.  The real system actor has no methods; these exist on a devnet only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.actor_errors import ActorError, bad_argument
from poolsite.devnet.actors.ledger import RESERVE, actor_get, resolve_existing, transfer
from poolsite.devnet.actors.power import BUILT_IN_MINER
from poolsite.devnet.state.miner_rows import MINERS, Miner
from poolsite.devnet.state.rows import SYSTEM, InjectedFailure, InjectedFailures
from poolsite.filecoin.address import Address
from poolsite.filecoin.codec import TokenAmount, Uint64, cbor_tuple

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.devnet.state.tables import Draft
    from poolsite.filecoin.message import Message

FAIL_METHOD: Final = 1 << 40
DRAIN_METHOD: Final = FAIL_METHOD + 1
"""Far from the numbers that real actors have."""
MOST_FAILURES: Final = 1000
FAILURE_TEXT: Final = "injected by the devnet"


@cbor_tuple
@dataclass(frozen=True, slots=True)
class FailParams:
    """Make the coming messages that call a method fail."""

    method: Uint64
    """Number of the method; 0 are sends."""
    code: Uint64
    """Exit code."""
    count: Uint64
    """How many messages."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class DrainParams:
    """Withdrawal of an actor's funds."""

    address: Address
    """Whose."""
    left: TokenAmount
    """attoFIL that stay."""


def _require_owner(call: Call) -> None:
    miner: Miner = call.draft.get(MINERS, BUILT_IN_MINER)
    call.require_caller((miner.owner,))


def fail_next(call: Call) -> bytes:
    """Note which coming messages fail; a count of 0 forgets the method.  Raises ActorError 16, 18, 21."""
    _require_owner(call)
    params: FailParams = call.read(FailParams)
    if not params.code or params.count > MOST_FAILURES:
        raise bad_argument(f"the code must not be 0, and there can be at most {MOST_FAILURES} messages")
    state: InjectedFailures | None = call.draft.get(SYSTEM, "failures")
    other_methods = tuple(one for one in (state.failures if state else ()) if one.method != params.method)
    new = (InjectedFailure(params.method, params.code, params.count),) if params.count else ()
    call.draft.put(SYSTEM, "failures", InjectedFailures(other_methods + new))
    return b""


def drain(call: Call) -> bytes:
    """Move an actor's funds to the reserve, all but what shall stay.  Raises ActorError 16, 18, 21."""
    _require_owner(call)
    params: DrainParams = call.read(DrainParams)
    actor_id = resolve_existing(call.draft, params.address)
    actor = None if actor_id is None else actor_get(call.draft, actor_id)
    if actor_id is None or actor is None:
        raise bad_argument(f"actor {params.address} does not exist")
    transfer(call.draft, actor_id, RESERVE, max(actor.balance - max(params.left, 0), 0))
    return b""


def failure_consume(draft: Draft, message: Message, *, sender: int) -> ActorError | None:
    """Return the refusal that a message shall meet, and use it up; the built-in miner's own are spared."""
    state: InjectedFailures | None = draft.get(SYSTEM, "failures")
    if state is None:
        return None
    miner: Miner = draft.get(MINERS, BUILT_IN_MINER)
    if sender in (miner.owner, miner.worker):
        return None
    for failure in state.failures:
        if failure.method == message.method:
            reduced = replace(failure, left=failure.left - 1)
            failures = tuple(reduced if one is failure else one for one in state.failures)
            draft.put(SYSTEM, "failures", InjectedFailures(tuple(one for one in failures if one.left)))
            return ActorError(failure.code, FAILURE_TEXT)
    return None


METHODS: Final[dict[int, Callable[[Call], bytes]]] = {FAIL_METHOD: fail_next, DRAIN_METHOD: drain}
"""Handlers by method number."""
