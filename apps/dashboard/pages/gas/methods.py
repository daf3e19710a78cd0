"""Fee rules of single methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.chain.node.client import chain_client
from apps.core import formatting
from apps.core.errors import NotFound
from apps.core.languages import list_text
from apps.dashboard.forms import FeeRulesForm, form_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.pickers import picker
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.messages.selectors.rules import method_rule_get, method_rules
from apps.messages.services.method_rules import (
    method_read,
    method_rule_remove,
    method_rule_set,
    receiver_read,
)
from apps.users.rules.principals import Principal
from poolsite.filecoin.actors.decode import method_name
from poolsite.filecoin.amounts import fil_format

if TYPE_CHECKING:
    from apps.messages.models import ActorRules


@dataclass(frozen=True, slots=True)
class MethodRuleRow:
    """One rule."""

    key: str
    kind: str
    method: str
    say: str
    """What it sets, in words."""


def rule_text(row: ActorRules) -> str:
    """Return what a rule sets."""
    parts = [
        (row.max_fee, gettext("max fee {max_fee}").format(max_fee=fil_format(int(row.max_fee)))),
        (
            row.gas_fee_cap,
            gettext("fee cap {gas_fee_cap}").format(gas_fee_cap=formatting.fee_text(int(row.gas_fee_cap))),
        ),
        (
            row.base_fee,
            gettext("sent while the base fee is at most {base_fee}").format(
                base_fee=formatting.fee_text(int(row.base_fee))
            ),
        ),
        (
            row.gas_over_estimation,
            gettext("gas limit × {gas_over_estimation:g}").format(
                gas_over_estimation=row.gas_over_estimation
            ),
        ),
        (row.gas_over_premium, f"premium × {row.gas_over_premium:g}"),
    ]
    return list_text(say for value, say in parts if value) or gettext("nothing set")


def method_rule_rows() -> list[MethodRuleRow]:
    """Return all rules, by kind and method."""
    return [method_rule_row(row) for row in method_rules()]


def method_rule_row(row: ActorRules) -> MethodRuleRow:
    """Return one rule; a code of which no receiver was known stands for its kind."""
    return MethodRuleRow(
        key=str(row.pk),
        kind=row.kind or formatting.shortened(row.code),
        method=method_name(row.kind, row.method)
        if row.kind
        else gettext("method {method}").format(method=row.method),
        say=rule_text(row),
    )


class MethodRuleForm(FeeRulesForm):
    """A new rule: fees, and the method of the kind of actor that stands at an address."""

    to = Text()
    method = Text()


def operator_only(viewer: Principal) -> None:
    """Rules of methods hold for every tenant."""
    if not (viewer.is_operator and viewer.may("sign")):
        raise Http404


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def rule_new(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Set the rule of a method of the kind of actor that stands at an address."""
    operator_only(viewer)
    form = MethodRuleForm.of(request)
    if form.is_valid():
        with form.refusals():
            kind, code = receiver_read(form.cleaned_data["to"], client=chain_client())
            method = method_read(form.cleaned_data["method"], kind=kind)
            method_rule_set(principal=viewer, code=code, method=method, fees=form.fees)
            notice_leave(request, _("Saved."))
            return redirect(f"{reverse('gas')}#h-methods")
    return rule_page(request, viewer, form)


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def rule_change(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Change what a rule sets."""
    operator_only(viewer)
    row = method_rule_get(key)
    form = FeeRulesForm.of_row(request, row)
    if form.is_valid():
        with form.refusals():
            method_rule_set(principal=viewer, code=row.code, method=row.method, fees=form.fees)
            notice_leave(request, _("Saved."))
            return redirect(f"{reverse('gas')}#h-methods")
    return rule_page(request, viewer, form, row=row)


@require_POST
@sign_in_required
def rule_drop(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:  # noqa: ARG001  # as all views
    """Remove a rule."""
    operator_only(viewer)
    try:
        method_rule_remove(principal=viewer, key=key)
    except NotFound:
        raise Http404 from None
    return redirect(f"{reverse('gas')}#h-methods")


def rule_page(
    request: HttpRequest, viewer: Principal, form: FeeRulesForm, *, row: ActorRules | None = None
) -> HttpResponse:
    """Show the form; the method of a rule that is there stays."""
    rule = None if row is None else method_rule_row(row)
    return form_render(
        request,
        viewer,
        "gas/method_rule.html",
        form,
        title=_("Method rule"),
        section="gas",
        rule=rule,
        receivers=picker(viewer, "miner", value=form.typed.get("to", "")),
    )


urlpatterns: Final = [
    path("gas/methods/add/", rule_new, name="gas-method-new"),
    path("gas/methods/<uuid:key>/", rule_change, name="gas-method"),
    path("gas/methods/<uuid:key>/remove/", rule_drop, name="gas-method-remove"),
]
