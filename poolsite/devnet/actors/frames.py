"""Who called whom during a message: what execution traces show.

Calls between actors are noted as they run.  Where the devnet does what one actor asks of another in one
step (burning, changing power and pledge, asking for the reward), the call that the real actors make is
noted beside it.  Nothing of it is part of the state.  Source: ref-fvm trace; lotus chain/types/execresult.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from poolsite.devnet.actors.actor_errors import ActorError
from poolsite.devnet.actors.call import Frame
from poolsite.devnet.actors.ledger import resolve, transfer
from poolsite.filecoin.address import SYSTEM_ACTOR, id_address
from poolsite.filecoin.message import METHOD_SEND

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Machine
    from poolsite.filecoin.address import Address


@contextmanager
def framed(machine: Machine, frame: Frame) -> Iterator[Frame]:
    """Note a call while it runs: calls that are made meanwhile are inside it."""
    outer = machine.frame
    if outer is not None:
        outer.inner.append(frame)
    machine.frame = frame
    try:
        yield frame
    except ActorError as error:
        frame.code = error.code
        raise
    finally:
        machine.frame = outer


@contextmanager
def implicit(machine: Machine, to: Address, method: int, *, params: bytes = b"") -> Iterator[Frame]:
    """Note a call that the chain itself makes, in the name of the system actor."""
    frame = Frame(SYSTEM_ACTOR.actor_id, to, 0, method, params)
    frame.received(machine.draft, to.actor_id)
    machine.implicit.append(frame)
    with framed(machine, frame):
        yield frame


@contextmanager
def inner_call(
    machine: Machine, to: Address, method: int, *, params: bytes = b"", value: int = 0
) -> Iterator[Frame]:
    """Note a call of the actor that runs, and what is done in it."""
    caller = machine.frame.receiver if machine.frame is not None else SYSTEM_ACTOR.actor_id
    frame = Frame(caller, to, value, method, params)
    frame.received(machine.draft, to.actor_id)
    with framed(machine, frame):
        yield frame


def call_note(
    machine: Machine, to: Address, method: int, *, params: bytes = b"", returned: bytes = b""
) -> None:
    """Note a call of the actor that runs, which the devnet does in one step."""
    if machine.frame is not None:
        frame = Frame(machine.frame.receiver, to, 0, method, params, returned=returned)
        frame.received(machine.draft, -1 if (found := resolve(machine.draft, to)) is None else found)
        machine.frame.inner.append(frame)


def pay(machine: Machine, source: int, target: int, amount: int) -> None:
    """Send value in an actor's own name.  Raises NoFunds."""
    if amount and machine.frame is not None:
        frame = Frame(source, id_address(target), amount, METHOD_SEND, b"")
        frame.received(machine.draft, target)
        machine.frame.inner.append(frame)
    transfer(machine.draft, source, target, amount)
