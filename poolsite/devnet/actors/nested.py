"""A call that an actor makes in its own name during a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.devnet.actors.exits import OK, ActorError

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
