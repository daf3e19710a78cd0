"""The form of one rule of a policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.urls import path
from django.views.decorators.http import require_http_methods, require_POST

from apps.core.errors import DomainError
from apps.dashboard.pages.policies.page import editor_only, policy_page, refused, wallet_or_404
from apps.dashboard.pages.policies.text import review
from apps.dashboard.sessions import sign_in_required
from apps.wallets.services.policies import policy_read
from poolsite.wire.policy import PUT, REMOVE, PolicyEdit, RuleForm

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from apps.users.principals import Principal


LISTS: Final = ("keys", "methods", "to", "callers", "sets")

TEXTS: Final = ("value_max", "value_per_day", "fee_max", "fee_per_day", "hours")


def words(text: str) -> tuple[str, ...]:
    """Split what was typed into a field for several: at commas and line ends."""
    return tuple(one for row in text.splitlines() for part in row.split(",") if (one := part.strip()))


def rule_read(request: HttpRequest) -> RuleForm:
    """Read the form of a rule."""
    lists: dict[str, Any] = {name: words(request.POST.get(name, "")) for name in LISTS}
    texts: dict[str, Any] = {name: request.POST.get(name, "").strip() for name in TEXTS}
    types = tuple(request.POST.getlist("types"))
    return RuleForm(name=request.POST.get("name", "").strip(), types=types, **lists, **texts)


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def rule(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """The form of one rule, new or there; a POST shows what it would change."""
    wallet = wallet_or_404(viewer, address)
    editor_only(viewer)
    was = (request.POST.get("was") or request.GET.get("name") or "")[:200]
    try:
        state = policy_read(viewer, address)
        form, place, error = RuleForm(name="", types=("message",)), len(state.rules) + 1, ""
        for number, one in enumerate(state.rules, 1):
            if one.name == was:
                form, place = one, number
        if request.method == "POST":
            form = rule_read(request)
            typed = request.POST.get("place", "")
            place = int(typed) if typed.isdecimal() and len(typed) < 6 else place
            edit = PolicyEdit(op=PUT, name=was, rule=form, place=place)
            try:
                return review(request, viewer, wallet, edit)
            except DomainError as refusal:
                error = refusal.reason
    except DomainError as refusal:
        return refused(request, viewer, wallet, refusal)
    return policy_page(
        request,
        viewer,
        wallet,
        name="policy_rule",
        status=422 if error else 200,
        form=form,
        was=was,
        place=place,
        state=state,
        error=error,
    )


@require_POST
@sign_in_required
def remove(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show what the policy would be without a rule."""
    wallet = wallet_or_404(viewer, address)
    editor_only(viewer)
    edit = PolicyEdit(op=REMOVE, name=request.POST.get("name", "")[:200])
    try:
        return review(request, viewer, wallet, edit)
    except DomainError as refusal:
        return refused(request, viewer, wallet, refusal)


urlpatterns: Final = [
    path("wallets/<str:address>/policy/rule/", rule, name="policy-rule"),
    path("wallets/<str:address>/policy/remove/", remove, name="policy-remove"),
]
