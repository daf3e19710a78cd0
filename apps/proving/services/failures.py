"""Going on with a whole group of what failed, the compaction of deadlines among it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.utils.translation import gettext

from apps.core.errors import BadValue, Conflict, NotFound
from apps.messages.models import Message
from apps.miners.selectors.miners import miner_get
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.services.compaction import compacted_partitions_read, compaction_send
from apps.sectors.models import Sector
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.selectors.stopped_work import COMPACT, compaction_place
from apps.sectors.services import failures
from apps.sectors.services.failures import NO_EARLIER_STATE, failure_find

if TYPE_CHECKING:
    from datetime import datetime

    from apps.sectors.selectors.failures import FailureGroup
    from apps.users.rules.principals import Principal

Retried = Sector | Message
"""What goes on, or does not: a sector, or of a compaction its message."""


def retried_describe(one: Retried) -> str:
    """Return the name of a sector, or of the deadline that a message compacts."""
    if isinstance(one, Sector):
        return f"{one.miner} / {one.number}"
    miner, index = compaction_place(one)
    return gettext("{miner} / deadline {index}").format(miner=miner, index=index)


def retried_key_read(one: Retried) -> str:
    """Return the key of a sector or of a message."""
    return str(one.uuid) if isinstance(one, Sector) else one.pk


def failures_retry(
    key: str, *, by: Principal, now: datetime, state: str | None = None
) -> tuple[list[Retried], list[tuple[Retried, str]]]:
    """Go on with all of a group: sectors as in their own service, deadlines are compacted once more.

    Each by itself: returns what goes on, and what does not with the reason.  Raises FailureUnknown, BadValue,
    NotAllowed, NodeUnavailable, NetworkUnknown.
    """
    group = failure_find(key, viewer=by)
    if group.kind == COMPACT:
        if state not in (None, group.state):
            raise BadValue(str(NO_EARLIER_STATE), field="state")
        return _compactions_again(group, by=by)
    done, refused = failures.failures_retry(key, by=by, now=now, state=state)
    return list(done), list(refused)


def _compactions_again(
    group: FailureGroup, *, by: Principal
) -> tuple[list[Retried], list[tuple[Retried, str]]]:
    work = sealing_context_read()
    context = ProvingContext(client=work.client, network=work.network, head=work.head, now=work.now)
    done: list[Retried] = []
    refused: list[tuple[Retried, str]] = []
    for row in group.rows:
        message = cast("Message", row)
        address, index = compaction_place(message)
        try:
            sent = compaction_send(
                miner_get(by, address),
                index=index,
                partitions=compacted_partitions_read(message),
                by=by,
                context=context,
            )
            done.append(sent[1])
        except (Conflict, BadValue, NotFound) as refusal:
            refused.append((message, refusal.reason))
    return done, refused
