"""How charges and terms read on pages: what each is for, and how it was computed."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.blocks.selectors.billing import ChargeLine, percent_text
from apps.blocks.states import ChargeKind
from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import list_text
from poolsite.filecoin.amounts import fil_format
from poolsite.filecoin.sizes import TIB

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.blocks.models import BillingTerms

KINDS: Final = {
    ChargeKind.REWARDS: _("Share of rewards"),
    ChargeKind.POWER: _("QA power"),
    ChargeKind.MONTHLY: _("Monthly sum"),
    ChargeKind.CORRECTION: _("Correction"),
}


@dataclass(frozen=True, slots=True)
class ChargeRow:
    """One line of a table of charges."""

    what: StrOrPromise
    miner: str
    how: str
    gap: str
    """What is not known of it; empty if nothing is."""
    amount: int


def charge_rows(lines: Iterable[ChargeLine]) -> list[ChargeRow]:
    """Lay out charges."""
    return [
        ChargeRow(KINDS[ChargeKind(line.kind)], line.miner, how_text(line), gap_text(line), line.amount)
        for line in lines
    ]


def how_text(line: ChargeLine) -> str:
    """Return how a line was computed: `12.5 % of 3.2000 FIL`."""
    if line.terms is None:
        return line.note
    if line.kind == ChargeKind.REWARDS:
        return gettext("{percent} of {amount} of rewards").format(
            percent=percent_text(line.terms.reward_percent), amount=fil_text(line.basis)
        )
    if line.kind == ChargeKind.POWER:
        return gettext("{count} TiB-days at {price}").format(
            count=tib_number(line.basis), price=fil_format(int(line.terms.power_price))
        )
    if line.kind == ChargeKind.MONTHLY:
        of = monthrange(line.day.year, line.day.month)[1]
        return gettext("{days} of {of} days at {price} a month").format(
            days=line.basis, of=of, price=fil_format(int(line.terms.monthly_sum))
        )
    return gettext("{percent} of rewards of {day} that became known later").format(
        percent=percent_text(line.terms.reward_percent), day=line.day.isoformat()
    )


def gap_text(line: ChargeLine) -> str:
    """Return what was not known, and so not charged."""
    if line.unknown_days:
        days = plural(line.unknown_days, "day")
        return gettext("power unknown on {days}: not charged").format(days=days)
    if line.unknown_blocks:
        blocks = plural(line.unknown_blocks, "block")
        return gettext("reward of {blocks} not known: not in it").format(blocks=blocks)
    return ""


def fil_text(atto: int) -> str:
    """Return an amount in FIL, with 4 places."""
    return f"{formatting.fil(atto)} FIL"


def tib_number(size: int) -> str:
    """Return bytes in TiB, with at most 4 places: `310.5`."""
    return f"{Decimal(size) / TIB:.4f}".rstrip("0").rstrip(".")


def terms_text(terms: BillingTerms | None) -> str:
    """Return in one line what terms charge."""
    parts = [] if terms is None else list(_terms_parts(terms))
    return list_text(parts) or gettext("nothing")


def _terms_parts(terms: BillingTerms) -> Iterable[str]:
    if terms.reward_percent:
        yield gettext("{percent} of rewards").format(percent=percent_text(terms.reward_percent))
    if terms.power_price:
        price = fil_format(int(terms.power_price))
        yield gettext("{price} per TiB of QA power and day").format(price=price)
    if terms.monthly_sum:
        yield gettext("{amount} a month").format(amount=fil_format(int(terms.monthly_sum)))
