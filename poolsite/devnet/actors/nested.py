"""A call that an actor makes in its own name during a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.devnet.actors.actor_errors import OK, ActorError

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.filecoin.address import Address


def nested_call(call: Call, *, to: Address, value: int, method: int, params: bytes) -> tuple[int, bytes]:
    """Call `to` as the receiver of `call`; its refusal is undone and returned as an exit code."""
    mark = call.draft.mark()
    try:
        return OK, call.machine.invoke(call.child(value=value, method=method, params=params), to)
    except ActorError as error:
        call.draft.rollback(mark)
        return error.code, b""


def nested_send(call: Call, *, to: Address, method: int, params: bytes, failing: str = "") -> bytes:
    """Call `to` as the receiver of `call`, without value; gives what it returns.

    Raises ActorError with the callee's code; `failing` says what then failed.
    """
    child = call.child(value=0, method=method, params=params)
    try:
        return call.machine.invoke(child, to)
    except ActorError as error:
        text = f"send aborted with code {error.code}"
        frames = ((child.receiver, method, error.text), *error.frames)
        raise ActorError(error.code, f"{failing}: {text}" if failing else text, frames=frames) from None
