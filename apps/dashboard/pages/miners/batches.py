"""A miner's settings beside the pool's: how its sectors are filled, paid for and sent to the chain."""

from __future__ import annotations

from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.dashboard.forms import form_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.batch_form import CHOICES, GROUPS, POREPS, YES_NO, BatchesForm, ceiling_of
from apps.dashboard.pages.miners.batch_send import packing_facts, waiting_facts
from apps.dashboard.sessions import sign_in_required
from apps.miners.selectors.miners import miner_get
from apps.miners.services.porep import porep_rule_read, porep_rules_list
from apps.sectors.rules.policy import BASE_FEES, FLAGS, LIMITS, sealing_policy
from apps.sectors.selectors.batch_settings import batch_settings_own
from apps.sectors.services.batches.requests import waiting_sectors_group
from apps.sectors.services.batches.settings import batch_settings_set
from apps.sectors.services.sealing.packing import packing_plan
from apps.users.rules.principals import Principal


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def batches(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show and set them."""
    miner = miner_get(viewer, address)
    own = batch_settings_own(miner)
    form = BatchesForm.of(
        request,
        **{name: "" if own[name] is None else str(own[name]) for name in LIMITS},
        **{name: "" if own[name] is None else YES_NO[not own[name]] for name in FLAGS},
        **{name: own[name] for name in BASE_FEES.values()},
        porep=str(porep_rule_read(miner)),
    )
    data = PageData(viewer)
    if request.method == "POST" and not viewer.may("sign"):
        raise Http404
    if request.method == "POST" and form.is_valid():
        with form.refusals():
            batch_settings_set(
                miner,
                values=form.values(),
                porep=form.cleaned_data["porep"],
                network=data.network,
                by=viewer,
            )
            notice_leave(request, _("Saved."))
            return redirect("miner-batches", address)
    pool, typed = sealing_policy(), form.typed
    return form_render(
        request,
        viewer,
        "miners/batches.html",
        form,
        title=_("Batches"),
        section="miners",
        data=data,
        miner=miner,
        name=f"{miner.name} {miner.address}".strip(),
        back=reverse("miner", args=[miner.address or miner.uuid]),
        groups=[
            (
                title,
                [(name, label, str(pool.value(name))) for name, label in fields],
                ceiling_of(kind, pool),
            )
            for title, kind, fields in GROUPS
        ],
        choices=[
            (name, label, (yes, no), yes if getattr(pool, name) else no, typed[name])
            for name, (label, yes, no) in CHOICES.items()
        ],
        poreps=[
            (str(rule), POREPS[rule])
            for rule in (porep_rules_list(miner, network=data.network) if data.network else ())
        ],
        waiting=waiting_facts(waiting_sectors_group(miner)),
        packing=packing_facts(packing_plan(miner)),
        may_change=viewer.may("sign"),
    )


urlpatterns: Final = [path("miners/<str:address>/batches/", batches, name="miner-batches")]
