"""When proving sectors end, by week or month, with the extension of each set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.chain.selectors.status import EpochClock
from apps.core import formatting
from apps.core.clock import DAY_S
from apps.core.errors import DomainError
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.scope import scope_chosen
from apps.dashboard.sessions import sign_in_required
from apps.miners.selectors.miners import miner_get
from apps.sectors.selectors.expirations import ExpiryBucket, expirations_by
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

WIDTHS: Final[dict[str, tuple[StrOrPromise, int]]] = {
    "day": (_("Days"), DAY_S),
    "week": (_("Weeks"), 7 * DAY_S),
    "month": (_("Months"), 30 * DAY_S),
}
"""Label and seconds of a bucket."""


@dataclass(frozen=True, slots=True)
class ExpiryRow:
    """The sectors that end in one week or month."""

    key: int
    starts: datetime
    left: str
    count: int
    share: float
    """Of the largest bucket, 0 to 1."""
    size: str
    pledge: str
    extend: str


def expiry_row(bucket: ExpiryBucket, *, clock: EpochClock, miner: str, most: int) -> ExpiryRow:
    """Lay out one bucket."""
    wanted = {"all": "1", "miner": miner, "ends_from": str(bucket.start), "ends_to": str(bucket.stop)}
    query = urlencode(wanted)
    amount, unit = formatting.amount_short(bucket.pledge)
    return ExpiryRow(
        key=bucket.start,
        starts=datetime.fromtimestamp(clock.starts_at(bucket.start), UTC),
        left=formatting.time_left(max(clock.left_s(bucket.start), 0)),
        count=bucket.count,
        share=bucket.count / most,
        size=" ".join(formatting.size(bucket.size)),
        pledge=f"{amount} {unit}",
        extend=f"{reverse('sectors-change', args=['extend'])}?{query}",
    )


def miner_chosen(viewer: Principal, text: str) -> str:
    """Return the address or uuid of the miner that is asked for, if any.  Raises Http404.

    Each bucket leads to the extension of its sectors: another spelling must not mean those of all miners.
    """
    if not text:
        return ""
    try:
        miner = miner_get(viewer, text)
    except DomainError:
        raise Http404 from None
    return miner.address or str(miner.uuid)


@require_safe
@sign_in_required
def expirations(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the buckets, soonest first."""
    data = PageData(viewer)
    by = request.GET.get("by", "") if request.GET.get("by", "") in WIDTHS else "week"
    known = {miner.address: miner for miner in data.miners if miner.address}
    miner = miner_chosen(viewer, request.GET.get("miner", "").strip())
    rows: list[ExpiryRow] = []
    clock, counted_at = data.clock, None
    if clock is not None:
        width = max(WIDTHS[by][1] // clock.delay_s, 1)
        buckets, counted_at = expirations_by(viewer, miner=miner, start=clock.epoch, width=width)
        most = max((one.count for one in buckets), default=1)
        rows = [expiry_row(one, clock=clock, miner=miner, most=most) for one in buckets]
    here = reverse("sectors-expirations")

    def link(**change: str) -> str:
        return f"{here}?{urlencode(scope_chosen(request) | {'by': by, 'miner': miner} | change)}"

    return page_render(
        request,
        "sectors/expirations.html",
        title=_("Expirations"),
        section="sectors",
        scoped=("miner",),
        data=data,
        rows=rows,
        total=sum(row.count for row in rows),
        counted_at=counted_at,
        is_uncounted=bool(known) and counted_at is None,
        widths=[(label, link(by=key), key == by) for key, (label, _s) in WIDTHS.items()],
        miners=[
            (_("All miners"), link(miner=""), not miner),
            *((row.name or address, link(miner=address), address == miner) for address, row in known.items()),
        ]
        if len(known) > 1
        else [],
        may_change=viewer.may("sign"),
        is_known=clock is not None,
    )


urlpatterns: Final = [path("sectors/expirations/", expirations, name="sectors-expirations")]
