"""How far messages and sectors are after a restore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.utils.text import capfirst
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from apps.core.formatting import plural, shortened
from apps.core.languages import clauses_text, list_text, sentence_text
from apps.core.stored_texts import stored_text
from apps.dashboard.cards import Fact
from apps.dashboard.html_time import time_html
from apps.messages.selectors.recovery import senders_unread
from apps.sectors.selectors.restored import hosts_unreported, miners_unread, sectors_unpledged

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from apps.messages.models import Recovery

NAMED: Final = 5
"""Senders, miners or hosts that are named; of more their number is told."""


def facts_of(row: Recovery) -> list[Fact]:
    """List how far messages and sectors are; empty where the database was never restored."""
    if row.restored_at is None:
        return []
    started = time_html(row.restored_at)
    facts = [
        Fact(pgettext_lazy("recovery", "Started"), started),
        Fact(_("Reason"), sentence_text(capfirst(stored_text(row.reason)))),
    ]
    matched = gettext("{messages} found and matched").format(messages=plural(row.matched, "message"))
    if row.since is not None:
        facts.append(
            Fact(
                _("Messages"),
                gettext("{matched}; the chain is read from height {height} on").format(
                    matched=matched, height=max(row.from_height, 0)
                ),
            )
        )
        facts += _left(
            gettext("Senders still to read"),
            senders_unread(row),
            "address",
            gettext("the signer must be connected"),
        )
    else:
        facts += [
            Fact(_("Messages"), matched),
            Fact(_("Signing since"), time_html(row.ended_at)),
        ]
    sectors = gettext("{sectors} imported or advanced").format(
        sectors=plural(row.sectors_recovered, "sector")
    )
    facts.append(Fact(_("Sectors"), sectors))
    consequence = gettext(
        "until you allow it below, pledges with an idempotency key are refused for their miners"
    )
    facts += _left(
        gettext("Sectors of lost pledges"), sectors_unpledged(row).select_related("miner"), "", consequence
    )
    if row.sectors_since is None:
        return facts
    facts += _left(
        gettext("Miners still to read"),
        miners_unread(row),
        "actor_id",
        gettext("after the messages of their senders"),
    )
    consequence = gettext("new sectors wait for them: start them, or retire them on page Hosts")
    return [*facts, *_left(gettext("Hosts to report"), hosts_unreported(row), "name", consequence)]


def _left(title: str, rows: QuerySet[Any], field: str, consequence: str) -> list[Fact]:
    count = rows.count()
    if not count:
        return []
    if field in ("", "actor_id"):
        names = [str(row) for row in rows[:NAMED]]
    else:
        names = [str(name) for name in rows.values_list(field, flat=True)[:NAMED]]
    if field == "address":
        names = [shortened(name) for name in names]
    more = gettext(" and {count} more").format(count=count - NAMED) if count > NAMED else ""
    return [Fact(title, clauses_text((list_text(names) + more, consequence)))]
