"""All that the signers were asked to sign: which wallet, for whom, and why it was refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from django.db.models import QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.reasons import Reason, shown_text
from apps.dashboard import cells
from apps.dashboard.fragments import FragmentContext
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import StateLabel
from apps.dashboard.list_page import Column, Empty, ListPage
from apps.dashboard.page_data import PageData
from apps.dashboard.pagination import ROWS, page_in_turn
from apps.messages.rules.methods import method_text
from apps.wallets.reasons import MESSAGE
from apps.wallets.rules.policy_words import policy_words
from apps.wallets.selectors import SignRecordFilters, sign_records
from poolsite.filecoin.address import BadAddress

if TYPE_CHECKING:
    from apps.wallets.models import SignRecord

SIGNED: Final = StateLabel("ok", _("signed"))
REFUSED: Final = StateLabel("bad", _("refused"))


@dataclass(frozen=True, slots=True)
class RecordRow:
    """A signer's answer with the names of what it is about."""

    row: SignRecord
    what: str
    key: str

    @property
    def label(self) -> StateLabel:
        """Return whether it was signed."""
        return REFUSED if self.row.error else SIGNED

    @property
    def why(self) -> str:
        """Return why it was refused, or the rule that allowed it."""
        message = message_read(self.row.what)
        error = self.row.error if message is None else policy_words(self.row.error, method=message[0])
        return shown_text(error) or self.row.rule or formatting.NOTHING


def message_read(what: str) -> tuple[int, str] | None:
    """Return method and receiver of a message that was signed; None of other bytes."""
    values = what.values if isinstance(what, Reason) and MESSAGE.made(what) else {}
    if not str(values.get("method", "")).isdecimal():  # callers name the kind of bytes as they like
        return None
    return int(values["method"]), str(values["to"])


def what_text(what: str, data: PageData) -> str:
    """Return what was signed, with the method's name where the receiver tells it."""
    message = message_read(what)
    if message is None:
        return what
    method, to = message
    try:
        name = method_text(to, method, kind="", miners=data.names.miners)
    except BadAddress:  # older records end after 60 characters
        return f"{what}…"
    return gettext("{name} to {miners}").format(
        name=name, miners=data.names.miners.get(to) or formatting.shortened(to)
    )


def laid_out(rows: Sequence[SignRecord], data: PageData) -> list[RecordRow]:
    """Lay out records."""
    wallets = data.names.wallets
    return [
        RecordRow(
            row=row,
            what=what_text(row.what, data),
            key=wallets.get(row.address) or formatting.shortened(row.address),
        )
        for row in rows
    ]


def newest(context: FragmentContext, _keys: list[str]) -> QuerySet[SignRecord]:
    """Return the newest records: a message was signed, or refused."""
    first = sign_records(context.viewer).values_list("pk", flat=True)[:ROWS]
    return sign_records(context.viewer).filter(pk__in=list(first))


RECORDS: Final = ListPage(
    name="sign-records",
    address="wallets/records",
    section="wallets",
    one="sign-record",
    title=_("Sign records"),
    table=_("Table of sign records"),
    caption=_("Latest signatures"),
    icon="wallets",
    rows=lambda data: sign_records(data.viewer),
    page=page_in_turn,
    lay_out=laid_out,
    id_of=attrgetter("row.pk"),
    order_of=lambda row: row.row.at.timestamp(),
    live={"message": newest, "messages": newest},
    filters=SignRecordFilters,
    places=("wallet",),
    places_label=_("Filter"),
    suggested={"wallet": lambda data: sorted(set(data.names.wallets.values()))},
    days=True,
    facets=(
        ("", _("All"), "", ""),
        ("signed", _("signed"), "ok", "ok"),
        ("refused", _("refused"), "bad", "bad"),
    ),
    counted=("refused",),
    empty=lambda _data: Empty(
        _("Nothing signed yet"), _("Signatures appear here once the pool sends its first message.")
    ),
    none=Empty(_("No matching sign records"), _("Choose another filter.")),
    columns=(
        Column(head=_("What"), cell=attrgetter("what"), css="keep", is_name=True),
        Column(head=_("Result"), cell=lambda row: cells.chip(row.label), css="tight c-state", is_plain=True),
        Column(head=_("Key"), cell=attrgetter("key"), css="keep", key="wallet", by="address"),
        Column(
            head=_("Requested by"), cell=attrgetter("row.asked_by"), css="c-half", key="by", by="asked_by"
        ),
        Column(head=_("Time"), cell=lambda row: time_html(row.row.at), css="keep", key="time", by="at"),
        Column(
            head=_("Took"),
            cell=lambda row: formatting.duration(None if row.row.ms is None else row.row.ms / 1000),
            css="num",
            key="took",
            by="ms",
        ),
        Column(head=_("Rule or reason"), cell=attrgetter("why"), css="c-wide", key="why"),
    ),
    csv={
        "time": lambda row: row.at.isoformat(),
        "address": attrgetter("address"),
        "tenant": lambda row: row.tenant and row.tenant.name,
        "what": attrgetter("what"),
        "cid": attrgetter("cid"),
        "requested_by": attrgetter("asked_by"),
        "ms": attrgetter("ms"),
        "error": attrgetter("error"),
        "rule": attrgetter("rule"),
    },
)
urlpatterns: Final = RECORDS.urls
LIVE: Final = RECORDS.live_pages
