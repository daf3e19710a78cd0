"""Messages that need somebody, together with those that failed alike: one cause, one count, one act."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

from django.db.models import QuerySet

from apps.chain.models import Head
from apps.core import clock
from apps.core.alike import fingerprint
from apps.core.reasons import coded_read
from apps.messages.models import Message
from apps.messages.selectors.diagnosis import Diagnosis, rows_diagnose
from apps.messages.selectors.failed import (
    FAILED_HOURS,
    OWN_FIELDS,
    SHOWN,
    GroupedRow,
    failed_at,
    given_up_since,
    refused_since,
)
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
    rows: Sequence[GroupedRow] = field(repr=False)
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
        return sorted({row.tenant for row in self.rows if row.tenant})


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
    return group((view, row) for view in VIEWS for row in _read(found[view]))


def _read(rows: QuerySet[Message]) -> Iterator[GroupedRow]:
    plain = rows.select_related(None).values_list(*OWN_FIELDS, "error_coded", "tenant__name")
    for *fields, error, code, tenant in plain[:GROUPED_MAX]:
        yield GroupedRow._make((*fields, coded_read(error, code), tenant or ""))


def stuck_grouped(rows: QuerySet[Message]) -> list[MessageGroup]:
    """Return the groups of stuck messages, the largest first."""
    return group((STUCK, row) for row in _read(rows.order_by("-created_at", "-pk")))


def failed_grouped(rows: Iterable[Message]) -> list[MessageGroup]:
    """Return the groups of messages that failed, given newest first; the largest of each view first."""
    views = ((REFUSED if row.state == MessageState.LANDED else FAILED, row) for row in rows)
    fields = attrgetter(*OWN_FIELDS)
    return group((view, GroupedRow(*fields(row))) for view, row in views)


def group(rows: Iterable[tuple[str, GroupedRow]]) -> list[MessageGroup]:
    """Put messages together, each with its view."""
    found: dict[str, list[tuple[str, GroupedRow]]] = {}
    for view, row in rows:
        alike = (view, row.kind, row.method, row.wait, row.exit_code, row.needs_approval)
        found.setdefault(fingerprint(" ".join(map(str, alike)), row.error), []).append((view, row))
    newest = Message.objects.only(*SHOWN).in_bulk([members[0][1].pk for members in found.values()])
    diagnoses = rows_diagnose(newest.values())
    groups = [
        _group(key, members[0][0], message, [row for _, row in members], diagnoses[message.pk])
        for key, members in found.items()
        if (message := newest.get(members[0][1].pk)) is not None
    ]
    return sorted(groups, key=lambda one: (VIEWS.index(one.view), -one.count, one.key))


def _group(
    key: str, view: str, newest: Message, rows: Sequence[GroupedRow], diagnosis: Diagnosis
) -> MessageGroup:
    times = [failed_at(row) or row.created_at for row in rows]
    return MessageGroup(
        key=key,
        view=view,
        newest=newest,
        diagnosis=diagnosis,
        since=min(times),
        last=max(times),
        rows=rows,
        senders=list(dict.fromkeys(str(row.from_addr) for row in rows)),
    )
