"""A message like a waiting one, sent with a nonce of which no row knows: after a restore, or by a program.

A program that has a key of its own must not stop all senders.  What was pushed and sent while this process
ran and looked on can hardly be of a history that a restored backup lacks: it holds up its own sender alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import connection
from django.db.models import F
from django.db.models.functions import Least

from apps.chain.node.client import ChainClient
from apps.core.reasons import Reason
from apps.messages.models import Message, Sender
from apps.messages.selectors.recovery import recovery_row
from apps.messages.services.recovery.detect import recovery_begin
from apps.users.models import SignerGrant
from poolsite.filecoin.message import Message as ChainMessage

log = structlog.get_logger(__name__)

SETTLED: Final = timedelta(minutes=5)
"""After the snapshot; more than clocks differ by, and than a tipset is behind the one below it."""
ALONE: Final = timedelta(days=1)
"""How long a sender is remembered of which such a message was found."""


@dataclass(frozen=True, slots=True)
class MempoolSnapshot:
    """What was on its way to the chain when this process began."""

    at: datetime
    pending: frozenset[tuple[str, int]]
    """Sender and nonce of each message in the node's pool."""


_snapshots: list[MempoolSnapshot] = []
_versions: dict[str, int] = {}
"""By address: the newest version of a sender that this process saw."""


def mempool_snapshot_store(*, client: ChainClient, now: datetime) -> None:
    """Remember, once for this process, what the node's pool has.  Raises NodeUnavailable, NodeRefused."""
    if not _snapshots:
        pending = client.mpool_pending()
        _snapshots.append(
            MempoolSnapshot(now, frozenset((str(one.message.from_), one.message.nonce) for one in pending))
        )


def version_note(address: str, *, version: int) -> None:
    """Remember which version of a sender this process saw."""
    _versions[address] = max(version, _versions.get(address, 0))


def unrecorded_note(
    row: Message,
    *,
    sender: Sender,
    message: ChainMessage,
    executed_at: datetime | None,
    reason: Reason,
    now: datetime,
) -> None:
    """Note that a message like a waiting one was sent with a nonce that no row has.

    It holds up its sender alone if it is none of a lost history; otherwise recovery begins.  `executed_at`
    is the time of the tipset that executed it; None: it is in the node's pool.
    """
    is_new = _is_new(row, sender, message, executed_at=executed_at)
    if recovery_row().since is None and is_new and _is_alone(row, now=now):
        lowest = Least(F("unrecorded_nonce"), message.nonce)  # of nothing and a number, the number
        Sender.objects.filter(pk=sender.pk).update(unrecorded_nonce=lowest, unrecorded_at=now)
        log.warning("sent_without_a_row", sender=sender.address, nonce=message.nonce, message=row.pk)
    else:
        recovery_begin(reason, now=now)


def _is_new(row: Message, sender: Sender, message: ChainMessage, *, executed_at: datetime | None) -> bool:
    """Return whether all came after this process and the database's server began: the push, and the message.

    Files cannot be put back under a running server, nor rows under this process without its seeing an older
    version.  A virtual machine that was set back with its memory does not show here.
    """
    snapshot = next(iter(_snapshots), None)
    if snapshot is None or (str(message.from_), message.nonce) in snapshot.pending:
        return False
    settled_at = max(snapshot.at, _server_started()) + SETTLED
    is_sent_since = executed_at is None or executed_at > settled_at
    return (
        row.created_at > settled_at and is_sent_since and sender.version >= _versions.get(sender.address, 0)
    )


def _server_started() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_postmaster_start_time()")
        started: datetime = cursor.fetchone()[0]
        return started


def _is_alone(row: Message, *, now: datetime) -> bool:
    """Return whether no sender of others than the message's tenant had such a message lately."""
    own = SignerGrant.objects.filter(tenant=row.tenant_id).values("address")
    others = Sender.objects.filter(unrecorded_at__gt=now - ALONE).exclude(address=row.from_addr)
    return not others.exclude(address__in=own).exists()
