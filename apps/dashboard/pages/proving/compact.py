"""Compacting a deadline's partitions, after a question that says what leaves and what moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from apps.core import formatting
from apps.core.errors import DomainError, NotFound
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.dashboard.confirm_page import (
    ConfirmPage,
    confirm_page_render,
    is_confirm_submitted,
    verdict_facts,
)
from apps.dashboard.pages.proving.detail import deadline_render
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.miners.selectors.miners import miner_get
from apps.proving.services.compaction import (
    CompactionPlan,
    compaction_plan,
    compaction_send,
    compaction_verdicts_read,
)
from apps.proving.tasks import proving_context
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.miners.models import Miner


@require_POST
@sign_in_required
def compact(request: HttpRequest, viewer: Principal, address: str, index: int) -> HttpResponse:
    """Confirm first; then push the message and show it."""
    context = proving_context()
    if not viewer.may("sign") or context is None:
        raise Http404
    try:
        miner = miner_get(viewer, address)
        if not is_confirm_submitted(request):
            plan = compaction_plan(miner, index=index, partitions=(), context=context)
            return confirm_page_render(request, viewer, _question(miner, plan, viewer))
        _plan, message = compaction_send(miner, index=index, partitions=(), by=viewer, context=context)
    except NotFound:
        raise Http404 from None
    except DomainError as refusal:
        return deadline_render(request, viewer, address, index, problem=refusal_text(refusal))
    return redirect("message", message.pk)


def _question(miner: Miner, plan: CompactionPlan, viewer: Principal) -> ConfirmPage:
    facts: list[tuple[StrOrPromise, str]] = [
        (_("Partitions"), list_text(plan.partitions)),
        (_("Removed"), plural(plan.removed, "terminated sector")),
        (_("May change partition"), plural(plan.moved, "live sector")),
        *(() if plan.refusal else ((_("Gas, about"), formatting.amount_text(plan.gas)),)),
        (
            _("Accepted until"),
            gettext("epoch {last_epoch}").format(last_epoch=formatting.whole(plan.last_epoch)),
        ),
    ]
    if plan.refusal:
        facts.append((_("Refused now"), plan.refusal))
    facts += verdict_facts(compaction_verdicts_read(miner, plan=plan, by=viewer))
    return ConfirmPage(
        is_danger=False,
        title=_("Compact deadline {index}").format(index=plan.deadline),
        text=_("Terminated sectors are removed; the others are packed into as few partitions as possible."),
        label=_("Compact"),
        back=reverse("proving-deadline", args=[miner.address, plan.deadline]),
        page=_("Deadline"),
        section="proving",
        facts=tuple((str(name), value) for name, value in facts),
    )


urlpatterns: Final = [
    path("proving/<str:address>/<int:index>/compact/", compact, name="proving-compact"),
]
