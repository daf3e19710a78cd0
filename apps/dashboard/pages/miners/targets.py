"""A miner's sealing target: set, paused and why, ended."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.core.clock import now
from apps.core.errors import NotFound
from apps.core.local_time import day_begin, here_of
from apps.core.reasons import shown_text
from apps.dashboard.day_spans import day_read
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.number_fields import Amount, Integer, Size
from apps.dashboard.page_data import PageData
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice, Text
from apps.miners.selectors.miners import miner_get
from apps.sectors.selectors.targets import missing, target_get
from apps.sectors.services.sealing.targets import target_remove, target_set
from apps.sectors.states import Hold
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.miners.models import Miner
    from apps.sectors.models import SealTarget


class Day(Text):
    """A date such as 2026-12-31, to its end in the person's zone; empty: none."""

    def clean(self, value: Any) -> datetime | None:
        """Return the end of that day.  Raises ValidationError."""
        text = super().clean(value)
        if not text:
            return None
        if (day := day_read(text)) is None:
            raise ValidationError(_("enter a date such as 2026-12-31"))
        return day_begin(day + timedelta(days=1))

    def prepare_value(self, value: Any) -> Any:
        """Write it."""
        if isinstance(value, datetime):
            return f"{here_of(value - timedelta(seconds=1)):%Y-%m-%d}"
        return value or ""


class TargetForm(PageForm):
    """A target; the act says whether it is set or ended."""

    act = Choice(["set", "end"], initial="set")
    in_work = Integer()
    day_bytes = Size()
    until = Day()
    power_max = Size()
    base_fee_max = Amount(is_fee=True)
    balance_min = Amount()

    def clean_until(self) -> datetime | None:
        """Return what was there, if its day was left alone: the same day ends elsewhere in another zone."""
        before: datetime | None = self.initial.get("until") or None
        typed: datetime | None = self.cleaned_data["until"]
        shown = self.fields["until"].prepare_value(before)
        return before if before and self.data.get("until", "").strip() == shown else typed

    def values(self) -> dict[str, Any]:
        """Return what is to be set; a size, number or base fee of 0 is none."""
        values = self.cleaned_data
        found = {name: values[name] or None for name in ("in_work", "day_bytes", "power_max", "base_fee_max")}
        return {**found, "until": values["until"], "balance_min": values["balance_min"]}


def target_of(miner: Miner) -> SealTarget | None:
    """Return a miner's target; None if there is none."""
    try:
        return target_get(miner)
    except NotFound:
        return None


def target_text(row: SealTarget | None) -> tuple[str, str]:
    """Return how a target stands: the tone and the sentence."""
    if row is None:
        return "idle", gettext("No target: the pool pledges no sectors by itself, except for pieces.")
    if row.held_by == Hold.REACHED:
        return "ok", gettext("Reached: {reason}.").format(reason=shown_text(row.reason))
    if row.held_by:
        return "warn", gettext("Paused: {reason}.").format(reason=shown_text(row.reason))
    more = missing(row, now=now())
    return "ok", gettext("{more} more will be pledged.").format(more=more) if more else gettext("On target.")


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def target(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show, set and end it."""
    miner = miner_get(viewer, address)
    if request.method == "POST" and not viewer.may("sign"):
        raise Http404
    row = target_of(miner)
    names = ("in_work", "day_bytes", "until", "power_max", "base_fee_max", "balance_min")
    form = TargetForm.from_address(request, **{name: getattr(row, name, None) or 0 for name in names})
    if request.method == "POST" and form.is_valid():
        with form.refusals():
            if form.cleaned_data["act"] == "end":
                target_remove(miner, by=viewer)
                notice_leave(request, _("Target removed."))
            else:
                target_set(miner, values=form.values(), by=viewer, now=now())
                notice_leave(request, _("Saved."))
            return redirect("miner-target", address)
    tone, say = target_text(row)
    return form_render(
        request,
        viewer,
        "miners/target.html",
        form,
        title=_("Target"),
        section="miners",
        data=PageData(viewer),
        miner=miner,
        name=f"{miner.name} {miner.address}".strip(),
        back=reverse("miner", args=[miner.address or miner.uuid]),
        tone=tone,
        say=say,
        is_set=row is not None,
        may_change=viewer.may("sign"),
    )


urlpatterns: Final = [path("miners/<str:address>/target/", target, name="miner-target")]
