"""Gas: the base fee of the day, what was spent, what the queue will cost, the guards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.dashboard.day_spans import day_facets
from apps.dashboard.fragments import LivePage
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.gas.forecast import live_context, live_fragment
from apps.dashboard.pages.gas.guard_rows import auto_bump_rows, guard_rows
from apps.dashboard.pages.gas.guards import guards_fragment
from apps.dashboard.pages.gas.methods import method_rule_rows
from apps.dashboard.pages.gas.spending import DAYS, GROUPS, HEADS, days_of, spend_rows
from apps.dashboard.pagination import Facet
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.messages.selectors.spend import spend_summed

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from apps.users.rules.principals import Principal


@require_safe
@sign_in_required
def gas(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the page."""
    by = request.GET.get("by", "")
    by, days, url = by if by in dict(GROUPS) else "method", days_of(request), reverse("gas")

    def part(**query: str) -> str:
        return f"{url}?{urlencode({'by': by, 'days': str(days), **query})}"

    data = PageData(viewer)
    sums = spend_summed(viewer, by=by, days=days, now=data.at)
    return page_render(
        request,
        "gas/page.html",
        title=_("Gas"),
        section="gas",
        page_key="gas",
        data=data,
        **live_context(data),
        guards=guard_rows(data),
        auto_bumps=auto_bump_rows(data),
        methods=method_rule_rows(),
        may_change_methods=viewer.is_operator and viewer.may("sign"),
        spend=spend_rows(sums, by=by, data=data),
        by=dict(GROUPS)[by],
        by_head=HEADS[by],
        groups=[
            Facet(key=key, label=label, href=part(by=key), on=key == by)
            for key, label in GROUPS
            if viewer.is_operator or key != "tenant"
        ],
        spans=day_facets(url, choices=DAYS, days=days, by=by),
        csv=f"{reverse('gas-csv')}?{urlencode({'days': days})}",
        can_set=viewer.may("sign"),
        is_operator=viewer.is_operator,
    )


NAV: Final = NavItem("gas", _("Gas"), "gas", place=(1, 11))
urlpatterns: Final = [
    path("gas/", gas, name="gas"),
]
LIVE: Final = {
    "gas": LivePage(
        {
            "head": (live_fragment,),
            "message": (live_fragment, guards_fragment),
            "messages": (live_fragment, guards_fragment),
            "guard": (guards_fragment,),
        },
        findings=live_fragment,
    )
}
