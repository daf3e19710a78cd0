"""Pushing a message to a miner that was planned outside a transaction: checked once more under its lock.

Two people may plan at the same moment: each sees a miner with nothing under way.  And a kill leaves message
and audit line, or neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from apps.messages.models import Message
from apps.messages.rules.push_items import PushItem
from apps.messages.selectors.receivers import receiver_kinds
from apps.messages.services.push import message_push
from apps.messages.services.receiver_lookup import receiver_kinds_resolve
from apps.miners.models import Miner
from apps.miners.selectors.miners import miner_principal
from apps.miners.services.ownership import miner_lock
from apps.users.rules.principals import Principal


@contextmanager
def planned_push_lock(miner: Miner, *, to: str = "") -> Iterator[None]:
    """Lock a miner in a transaction in which its planned message is pushed, to `to` where that is another.

    Raises MinerUnknown if it went to another tenant meanwhile.
    """
    # A push asks a node for a kind that is not known yet, and no transaction waits for the network.
    receivers = [to or miner.address]
    receiver_kinds_resolve(receivers, known=receiver_kinds(receivers))
    with transaction.atomic():
        miner_lock(miner)
        yield


def planned_message_push(miner: Miner, *, item: PushItem, by: Principal) -> Message:
    """Push a planned message that `by` asked for, in the miner's tenant.  Raises as `message_push` does."""
    return message_push(
        principal=miner_principal(miner, by=by),
        id=item.id,
        to=item.to,
        from_=item.from_,
        method=item.method,
        params=item.params,
        kind=item.kind,
        spec=item.spec,
    )
