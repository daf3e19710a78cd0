"""The form of a change of sectors: which, until when, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from apps.core.errors import BadValue
from apps.dashboard.forms import PageForm
from apps.dashboard.number_fields import Whole
from apps.dashboard.pages.sectors.change_plan import DAY_S
from apps.dashboard.pages.sectors.filters import ListFilter, narrowed
from apps.dashboard.text_fields import Text, Ticks
from apps.sectors.selectors.expirations import sectors_ending
from apps.sectors.selectors.sectors import sectors_picked, sectors_visible
from apps.sectors.services.changes.prices import ChangeRequest
from apps.sectors.services.changes.steps import CHANGES_MAX
from poolsite.wire.pipeline import SectorState
from poolsite.wire.pipeline.changes import ChangeKind

if TYPE_CHECKING:
    from apps.chain.selectors.status import EpochClock
    from apps.dashboard.page_data import PageData
    from apps.sectors.models import Sector
    from apps.users.principals import Principal


class ChangeForm(PageForm):
    """Which sectors, and what becomes of them."""

    id = Ticks()
    all = Text()
    """Set: not the ids, but all that fit the filter below."""
    state = Text()
    q = Text()
    miner = Text()
    host = Text()
    store = Text()
    ends_from = Whole()
    ends_to = Whole()
    days = Whole()
    """Of an extension: from now on; 0: as long as the chain takes."""
    expiration = Whole()
    """Of an extension that was reviewed: the epoch."""
    drop_claims = Text()
    reason = Text()
    count = Whole()
    """For how many sectors the price was shown."""
    confirm = Text()

    def kept(self) -> list[tuple[str, str]]:
        """Return what names the sectors, for the next click."""
        given = self.cleaned_data
        if given["id"] and not given["all"]:
            return [("id", one) for one in given["id"]]
        names = ("all", "state", "q", "miner", "host", "store", "ends_from", "ends_to")
        return [(name, str(given[name])) for name in names if given[name]]


def picked(form: ChangeForm, viewer: Principal, data: PageData) -> list[Sector]:
    """Return the sectors that are meant.  Raises BadValue for too many, SectorUnknown."""
    given = form.cleaned_data
    if given["id"] and not given["all"]:
        if len(given["id"]) > CHANGES_MAX:
            raise BadValue(
                _("at most {changes_max} sectors at a time").format(changes_max=CHANGES_MAX), field="id"
            )
        return sectors_picked(viewer, given["id"])
    if given["ends_to"]:
        rows = sectors_ending(viewer, miner=given["miner"], start=given["ends_from"], stop=given["ends_to"])
    elif given["all"]:
        rows = narrowed(viewer, ListFilter.of(given), data=data).filter(state=SectorState.PROVING)
    else:
        rows = sectors_visible(viewer).none()
    return list(rows[:CHANGES_MAX])


def request_of(kind: ChangeKind, form: ChangeForm, clock: EpochClock) -> ChangeRequest:
    """Read what is to become of them."""
    given = form.cleaned_data
    if kind is ChangeKind.TERMINATE:
        return ChangeRequest(kind=kind, reason=given["reason"][:500])
    in_days = clock.epoch + given["days"] * DAY_S // clock.delay_s if given["days"] else None
    wanted = given["expiration"] or in_days
    return ChangeRequest(
        kind=kind, expiration=wanted, drops_claims=bool(given["drop_claims"]), reason=given["reason"][:500]
    )
