"""The form of a change of sectors: which, until when, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from apps.chain.selectors.status import EpochClock
from apps.core.clock import DAY_S
from apps.core.errors import BadValue
from apps.dashboard.forms import PageForm
from apps.dashboard.number_fields import Integer
from apps.dashboard.page_data import PageData
from apps.dashboard.text_fields import MultiChoice, Text, Tick
from apps.sectors.selectors.change_prices import ChangeRequest
from apps.sectors.selectors.expirations import sectors_ending
from apps.sectors.selectors.sector_filters import SectorFilters
from apps.sectors.selectors.sectors import sectors_picked, sectors_visible
from apps.sectors.services.changes.steps import CHANGES_MAX
from apps.users.rules.principals import Principal
from poolsite.wire.pipeline import SectorState
from poolsite.wire.pipeline.changes import ChangeKind

if TYPE_CHECKING:
    from apps.sectors.models import Sector


class ChangeForm(PageForm):
    """Which sectors, and what becomes of them."""

    id = MultiChoice()
    all = Tick()
    """Ticked: not the ids, but all that fit the filters of the list, which are sent along."""
    miner = Text()
    ends_from = Integer()
    ends_to = Integer()
    days = Integer()
    """Of an extension: from now on; 0: as long as the chain takes."""
    expiration = Integer()
    """Of an extension that was reviewed: the epoch."""
    drop_claims = Tick()
    reason = Text()
    count = Integer()
    """For how many sectors the price was shown."""
    confirm = Text()

    @property
    def has_ids(self) -> bool:
        """Return whether it names the sectors one by one."""
        return bool(self.cleaned_data.get("id")) and not self.cleaned_data.get("all")

    @property
    def narrowed(self) -> dict[str, list[str]]:
        """Return the filters of the list that all of them fit."""
        return SectorFilters.read(self.data)

    def selection_fields(self) -> list[tuple[str, str]]:
        """Return what names the sectors, for the next click."""
        values = self.cleaned_data
        if self.has_ids:
            return [("id", one) for one in values["id"]]
        named = [(name, str(values[name])) for name in ("all", "ends_from", "ends_to") if values.get(name)]
        return [*named, *((name, text) for name, texts in self.narrowed.items() for text in texts)]


def picked(form: ChangeForm, viewer: Principal, data: PageData) -> list[Sector]:
    """Return the sectors that are meant.  Raises BadValue for too many, SectorUnknown."""
    values = form.cleaned_data
    if form.has_ids:
        if len(values["id"]) > CHANGES_MAX:
            raise BadValue(
                _("at most {changes_max} sectors at a time").format(changes_max=CHANGES_MAX), field="id"
            )
        return sectors_picked(viewer, values["id"])
    if values["ends_to"]:
        rows = sectors_ending(
            viewer, miner=values["miner"], start=values["ends_from"], stop=values["ends_to"]
        )
    elif values["all"]:
        fitting = SectorFilters(form.narrowed, sectors_visible(viewer), viewer=viewer, page=data)
        rows = fitting.rows().filter(state=SectorState.PROVING)
    else:
        rows = sectors_visible(viewer).none()
    return list(rows[:CHANGES_MAX])


def request_of(kind: ChangeKind, form: ChangeForm, clock: EpochClock) -> ChangeRequest:
    """Read what is to become of them."""
    values = form.cleaned_data
    if kind is ChangeKind.TERMINATE:
        return ChangeRequest(kind=kind, reason=values["reason"][:500])
    in_days = clock.epoch + values["days"] * DAY_S // clock.delay_s if values["days"] else None
    wanted = values["expiration"] or in_days
    return ChangeRequest(
        kind=kind, expiration=wanted, drops_claims=values["drop_claims"], reason=values["reason"][:500]
    )
