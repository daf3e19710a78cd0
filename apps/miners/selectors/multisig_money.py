"""What multisigs moved to and from miners, by proposals and approvals of the pool that were carried out.

The money is not in the message: it is in what the multisig sends then.  Source: builtin-actors
actors/multisig/src/lib.rs (propose, approve).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, TypeVar

from django.db.models import QuerySet

from apps.messages.models import Message, Receiver
from apps.messages.models.messages import WITHDRAWALS
from apps.messages.selectors.miner_money import MovedMoney, withdrawn_read
from apps.messages.states import MessageState
from apps.miners.selectors.proposals import APPROVE, PROPOSE
from poolsite.filecoin.actors.method import params_read
from poolsite.filecoin.actors.multisig import ApproveReturn, ProposeParams, ProposeReturn, TxnIDParams
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.codec import from_cbor

Read = TypeVar("Read")


class MultisigMove(NamedTuple):
    """What a multisig sent to a miner, or had it pay out."""

    miner: str
    """Its address, as it was proposed."""
    height: int
    """Of the tipset with the message that had it carried out."""
    moved: MovedMoney


def multisig_moves(addresses: Collection[str], *, since: int) -> list[MultisigMove]:
    """Return what multisigs moved to and from these addresses at a height or above it.

    An approval counts if its proposal was made by the pool, too: else nothing here says what was approved.
    """
    landed = _landed().filter(method__in=(*PROPOSE, *APPROVE), height__gte=since)
    rows = list(landed.values_list("to", "method", "params", "return_data", "height"))
    approved = {to for to, method, *_ in rows if method in APPROVE}
    proposals = _proposals(approved) if approved else {}
    found = []
    for to, method, params, data, height in rows:
        done: ProposeReturn | ApproveReturn | None
        if method in PROPOSE:
            act, done = _proposed(bytes(params)), _read(ProposeReturn, bytes(data))
        else:
            named, done = _read(TxnIDParams, bytes(params)), _read(ApproveReturn, bytes(data))
            act = None if named is None else proposals.get((to, int(named.id)))
        if act is None or done is None or not done.applied or done.code or str(act.to) not in addresses:
            continue
        paid = withdrawn_read(bytes(done.ret)) if act.method in WITHDRAWALS else 0
        found.append(MultisigMove(str(act.to), height, MovedMoney(int(act.value), paid)))
    return found


def _landed() -> QuerySet[Message]:
    """Return the messages to multisigs that landed and succeeded."""
    multisigs = Receiver.objects.filter(kind="multisig").values("address")
    return Message.objects.filter(to__in=multisigs, state=MessageState.LANDED, exit_code=0).order_by()


def _proposals(multisigs: Collection[str]) -> dict[tuple[str, int], ProposeParams]:
    """Return what the pool proposed to some multisigs, by multisig and number."""
    rows = _landed().filter(to__in=multisigs, method__in=PROPOSE)
    found = {}
    for to, params, data in rows.values_list("to", "params", "return_data"):
        act, numbered = _proposed(bytes(params)), _read(ProposeReturn, bytes(data))
        if act is not None and numbered is not None:
            found[to, int(numbered.txn_id)] = act
    return found


def _proposed(params: bytes) -> ProposeParams | None:
    try:
        return params_read(ProposeParams, params)
    except (BadCbor, ValueError):
        return None


def _read(kind: type[Read], data: bytes) -> Read | None:
    try:
        return from_cbor(kind, data)
    except (BadCbor, ValueError):
        return None
