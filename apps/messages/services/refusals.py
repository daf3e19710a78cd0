"""What actors said of messages that landed and failed: the receipt has an exit code and no reason.

The node executes the tipset again for it (StateReplay), so it is asked once a message, and only for
what landed lately.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import structlog

from apps.chain.errors import NodeRefused
from apps.chain.node.client import ChainClient
from apps.core.reasons import quoted
from apps.messages.models import Message
from apps.messages.services.bulk_transitions import message_changes_publish
from apps.messages.states import MessageState

log = structlog.get_logger(__name__)

LATELY: Final = timedelta(minutes=10)
"""A node that gives no reason is asked no longer than this after the landing."""
NEWEST: Final = 1_000
"""Newest changes that are searched."""
REPLAYS_MAX: Final = 20
"""Messages asked for at once."""


def unexplained_refusals_list(*, now: datetime) -> list[Message]:
    """Return what landed lately with an exit code of which nobody has asked what the actor said."""
    newest = Message.objects.order_by("-updated_at").values("pk")[:NEWEST]
    rows = Message.objects.filter(
        pk__in=newest, state=MessageState.LANDED, error="", landed_at__gt=now - LATELY
    )
    return list(rows.exclude(exit_code=0).exclude(tipset_key="")[:REPLAYS_MAX])


def refusals_explain(*, client: ChainClient, now: datetime) -> int:
    """Write what actors said of messages that landed lately and failed; return of how many they did.

    Raises NodeUnavailable.
    """
    explained = 0
    for row in unexplained_refusals_list(now=now):
        try:
            found = client.state_replay(row.landed_cid, row.tipset_key)
        except NodeRefused as error:  # the node keeps no state of that tipset, or does not know the method
            log.info("refusal_not_explained", message=row.pk, reason=error.reason[:300])
            continue
        reason = quoted(str(found.get("Error") or ""), by="actor")
        same = Message.objects.filter(
            pk=row.pk, state=MessageState.LANDED, executed_key=row.executed_key, error=""
        )
        if reason and same.update(error=reason, updated_at=now):
            message_changes_publish({row.pk: row.tenant_id})
            explained += 1
    return explained
