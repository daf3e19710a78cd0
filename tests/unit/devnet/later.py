"""Calls of actors at an epoch that a test need not wait for: the head's state, as if time had passed."""

from __future__ import annotations

from poolsite.devnet.actors.actor_errors import OK, ActorError
from poolsite.devnet.actors.call import Call, Meter
from poolsite.devnet.actors.invoke import invoke
from poolsite.devnet.consensus import machine_at
from poolsite.devnet.node import Devnet
from poolsite.devnet.state.tables import Draft
from poolsite.filecoin.address import Address


class Later:
    """The state after the head at a later epoch; what calls do stays in it alone."""

    def __init__(self, node: Devnet, epoch: int) -> None:
        state = node.chain.state_after(node.head.key)
        self.machine = machine_at(node.chain, node.head.tipset, state, epoch=epoch, rules=node.rules)

    @property
    def draft(self) -> Draft:
        return self.machine.draft

    def call(self, who: int, to: Address, *, method: int, params: bytes) -> tuple[int, bytes, str]:
        """Exit code, return value and the actor's words."""
        mark = self.draft.mark()
        call = Call(
            machine=self.machine,
            caller=who,
            receiver=-1,
            value=0,
            method=method,
            params=params,
            origin=who,
            nonce=0,
            meter=Meter(),
        )
        try:
            return OK, invoke(call, to), ""
        except ActorError as error:
            self.draft.rollback(mark)
            return error.code, b"", error.text
