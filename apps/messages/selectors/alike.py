"""Messages that need somebody, together with those that failed alike: one cause, one count, one act."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.db.models import QuerySet

from apps.chain.models import Head
from apps.core import clock
from apps.core.alike import fingerprint
from apps.messages.models import Message
from apps.messages.selectors.diagnosis import Diagnosis, rows_diagnose
from apps.messages.selectors.failed import FAILED_HOURS, SHOWN, failed_at, given_up_since, refused_since
from apps.messages.selectors.messages import messages_visible
from apps.messages.selectors.replaced import messages_replaced
from apps.messages.selectors.stuck import messages_stuck
from apps.messages.states import MessageState
from apps.users.rules.principals import Principal
from poolsite.filecoin.policy import Network

GROUPED_MAX: Final = 1_000
"""Messages of each view that are grouped; the oldest ones beyond are left out."""
STUCK, REPLACED, REFUSED, FAILED = "stuck", "replaced", "refused", "failed"
VIEWS: Final = (STUCK, REPLACED, REFUSED, FAILED)
"""Views in which messages need somebody, most urgent first: words of the list's filter `state`."""
COLUMNS: Final = (*SHOWN, "created_at", "tenant__name")


@dataclass(slots=True)
class MessageGroup:
    """Messages that call the same method and failed alike, of all tenants that the viewer sees."""

    key: str
    """The fingerprint."""
    view: str
    """One of `VIEWS`."""
    newest: Message
    diagnosis: Diagnosis
    since: datetime
    """When the first of them failed."""
    last: datetime
    rows: Sequence[Message] = field(repr=False)
    senders: list[str] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        """Return their ids, the newest message's first."""
        return [row.pk for row in self.rows]

    @property
    def count(self) -> int:
        """Return how many there are."""
        return len(self.rows)

    @property
    def tenants(self) -> list[str]:
        """Return the names of their tenants, which `messages_grouped` reads with the messages."""
        return sorted({row.tenant.name for row in self.rows if row.tenant})


def messages_grouped(viewer: Principal, *, head: Head | None, network: Network | None) -> list[MessageGroup]:
    """Return what is stuck, what lost its nonce and what failed in the last day, by what went wrong.

    In the order of `VIEWS`, the largest group of each first.
    """
    since = clock.now() - timedelta(hours=FAILED_HOURS)
    seen = messages_visible(viewer)
    found = {
        STUCK: messages_stuck(viewer, head=head, network=network).order_by("-created_at", "-pk"),
        REPLACED: messages_replaced(viewer),
        REFUSED: refused_since(seen, since),
        FAILED: given_up_since(seen, since),
    }
    rows = [(view, row) for view in VIEWS for row in _read(found[view])]
    return group(rows)


def _read(rows: QuerySet[Message]) -> Sequence[Message]:
    return list(rows.select_related("tenant").only(*COLUMNS)[:GROUPED_MAX])


def stuck_grouped(rows: QuerySet[Message]) -> list[MessageGroup]:
    """Return the groups of stuck messages, the largest first."""
    return group((STUCK, row) for row in _read(rows.order_by("-created_at", "-pk")))


def failed_grouped(rows: Iterable[Message]) -> list[MessageGroup]:
    """Return the groups of messages that failed, given newest first; the largest of each view first."""
    return group((REFUSED if row.state == MessageState.LANDED else FAILED, row) for row in rows)


def group(rows: Iterable[tuple[str, Message]]) -> list[MessageGroup]:
    """Put messages together, each with its view."""
    found: dict[str, list[tuple[str, Message]]] = {}
    for view, row in rows:
        alike = (view, row.kind, row.method, row.wait, row.exit_code, row.needs_approval)
        found.setdefault(fingerprint(" ".join(map(str, alike)), row.error), []).append((view, row))
    diagnoses = rows_diagnose([members[0][1] for members in found.values()])
    groups = [
        _group(key, members[0][0], [row for _, row in members], diagnoses[members[0][1].pk])
        for key, members in found.items()
    ]
    return sorted(groups, key=lambda one: (VIEWS.index(one.view), -one.count, one.key))


def _group(key: str, view: str, rows: Sequence[Message], diagnosis: Diagnosis) -> MessageGroup:
    times = [failed_at(row) or row.created_at for row in rows]
    return MessageGroup(
        key=key,
        view=view,
        newest=rows[0],
        diagnosis=diagnosis,
        since=min(times),
        last=max(times),
        rows=rows,
        senders=list(dict.fromkeys(str(row.from_addr) for row in rows)),
    )
