"""One deal in the list: with whom, about what, how far it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.chain.selectors.network import network_current
from apps.chain.selectors.read_cache import chain_read_once
from apps.core import formatting
from apps.core.languages import clauses_text
from apps.core.reasons import shown_text
from apps.dashboard.labels import StateLabel
from apps.market.states import DealState

if TYPE_CHECKING:
    from apps.market.models import Deal

LABELS: Final[dict[str, StateLabel]] = {
    DealState.REFUSED: StateLabel("idle", _("refused"), "close"),
    DealState.ACCEPTED: StateLabel("idle", _("waiting for its data")),
    DealState.TRANSFERRING: StateLabel("run", _("transferring"), "download"),
    DealState.UNPUBLISHED: StateLabel("idle", _("waiting to be published")),
    DealState.PUBLISHING: StateLabel("run", _("being published")),
    DealState.VERIFIED: StateLabel("idle", _("waiting for a sector")),
    DealState.SEALING: StateLabel("run", _("being sealed")),
    DealState.ACTIVE: StateLabel("ok", _("active")),
    DealState.ENDED: StateLabel("idle", _("ended")),
    DealState.FAILED: StateLabel("bad", _("failed")),
}


@dataclass(frozen=True, slots=True)
class DealRow:
    """One deal in the list."""

    row: Deal
    label: StateLabel
    say: str
    """Why it was refused or failed, or what holds it up; else its terms."""


def terms_text(deal: Deal) -> str:
    """Under what the data are kept: `allocation 3 of f01010; 208 d 08 h (600 000 epochs)`."""
    life = formatting.time_left(deal.duration * network_current().epoch_s)
    epochs = formatting.whole(deal.duration)
    parts = [gettext("{time} ({epochs} epochs)").format(time=life, epochs=epochs)]
    if deal.chain_deal is not None:
        parts.insert(0, gettext("deal {deal}").format(deal=deal.chain_deal))
    if deal.allocation is not None:
        parts.insert(
            0,
            gettext("allocation {allocation} of f0{client}").format(
                allocation=deal.allocation, client=deal.client_id
            ),
        )
    return clauses_text(parts)


def reason_text(state: str, reason: str) -> str:
    """Return why a deal stands as it does; a refusal in the words with which its client was answered."""
    if state == DealState.REFUSED and reason:
        return format_html('<code lang="en">{}</code>', reason)
    return shown_text(reason)


def deal_row(deal: Deal) -> DealRow:
    """Lay out one deal."""
    return DealRow(deal, LABELS[deal.state], reason_text(deal.state, deal.reason) or terms_text(deal))


@chain_read_once()
def deal_rows(deals: Iterable[Deal]) -> list[DealRow]:
    """Lay out deals; the network is read once for all."""
    return [deal_row(deal) for deal in deals]
