"""The form of one rule of a policy."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.http import require_http_methods, require_POST

from apps.core.errors import DomainError
from apps.dashboard.forms import PageForm
from apps.dashboard.number_fields import Whole
from apps.dashboard.pages.policies.page import editor_only, policy_page, refused
from apps.dashboard.pages.policies.text import review
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Lines, MultiChoice, Text
from apps.users.rules.principals import Principal
from apps.wallets.selectors import wallet_get
from apps.wallets.services.policies import policy_read
from poolsite.wire.policy import PUT, REMOVE, PolicyEdit, RuleForm


class RulePageForm(PageForm):
    """One rule of a policy, and its place."""

    was = Text()
    name = Text()
    place = Whole(least=1, most=99_999, empty=0)
    """Empty: where it is."""
    types = MultiChoice()
    methods = Lines()
    to = Lines()
    keys = Lines()
    callers = Lines()
    sets = Lines(", ")
    value_max = Text()
    value_per_day = Text()
    fee_max = Text()
    fee_per_day = Text()
    premium_max = Text()
    premium_per_day = Text()
    hours = Text()

    @property
    def edit(self) -> PolicyEdit:
        """The change that it asks for."""
        sent = dict(self.cleaned_data)
        place, was = sent.pop("place"), sent.pop("was")[:200]
        return PolicyEdit(op=PUT, name=was, rule=RuleForm(**sent), place=place or self.initial["place"])


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def rule(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Return the form of one rule, new or there; a POST shows what it would change."""
    wallet = wallet_get(viewer, address)
    editor_only(viewer)
    was = (request.POST.get("was") or request.GET.get("name") or "")[:200]
    try:
        state = policy_read(viewer, address=address)
    except DomainError as refusal:
        return refused(request, viewer, wallet, refusal)
    begin, place = RuleForm(name="", types=("message",)), len(state.rules) + 1
    for number, one in enumerate(state.rules, 1):
        if one.name == was:
            begin, place = one, number
    values = {name: getattr(begin, name) for name in RulePageForm.base_fields if hasattr(begin, name)}
    form = RulePageForm.of(request, **values, was=was, place=place)
    if form.is_valid():
        with form.refusals():
            return review(request, viewer, wallet, form.edit)
    return policy_page(
        request,
        viewer,
        wallet,
        name="policy_rule",
        status=422 if form.errors else 200,
        form=form,
        was=was,
        state=state,
        error=form.why,
    )


@require_POST
@sign_in_required
def remove(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show what the policy would be without a rule."""
    wallet = wallet_get(viewer, address)
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
