"""Unbinding the pool from a network that it was bound to by mistake."""

from __future__ import annotations

from django.db import transaction

from apps.chain.models import Network
from apps.chain.services.networks import network_forget
from apps.core.errors import Conflict
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.messages.models import Message, Tracker
from apps.miners.models import Miner
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record


def network_may_unbind() -> bool:
    """Return whether the pool is bound to a network and holds nothing of it."""
    return Network.objects.exists() and not Miner.objects.exists() and not Message.objects.exists()


@transaction.atomic
def network_unbind(*, principal: Principal) -> str:
    """Unbind the pool from its network and give its name.

    Raises Conflict if it is bound to none, or holds a miner or a message, which belong to that chain.
    """
    row = Network.objects.select_for_update().first()
    if row is None:
        raise Conflict(gettext("the pool is not bound to a network"))
    if Miner.objects.exists():
        raise Conflict(gettext("the pool has a miner on {name}: it cannot be unbound").format(name=row.name))
    if Message.objects.exists():
        raise Conflict(gettext("the pool has messages on {name}: it cannot be unbound").format(name=row.name))
    network_forget()
    Tracker.objects.update(height=-1, key="")
    audit_record(
        principal=principal,
        action="chain.unbind",
        target=row.name,
        before={"network": row.name, "genesis": row.genesis},
    )
    publish(Change("node_state", row.name, None))
    return row.name
