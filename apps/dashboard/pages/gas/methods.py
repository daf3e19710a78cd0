"""Fee rules of single methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.views.decorators.http import require_http_methods, require_POST

from apps.chain.client import chain_client
from apps.core import formatting
from apps.core.errors import DomainError, NotFound
from apps.dashboard.fee_forms import FIELDS, form_of, rules_read
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.gas.guards import form_values
from apps.dashboard.pickers import picker
from apps.dashboard.sessions import sign_in_required
from apps.messages.models import ActorRules, Receiver
from apps.messages.services.senders import method_read, method_rule_remove, method_rule_set, receiver_read
from poolsite.filecoin.actors.decode import method_name
from poolsite.filecoin.amounts import fil_format

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from apps.users.principals import Principal


@dataclass(frozen=True, slots=True)
class MethodRuleRow:
    """One rule."""

    key: str
    kind: str
    method: str
    say: str
    """What it sets, in words."""


def kinds_of(codes: list[str]) -> Mapping[str, str]:
    """Return the kinds of actor codes, as far as a receiver of each is known."""
    return dict(Receiver.objects.filter(code__in=codes).values_list("code", "kind"))


def rule_text(row: ActorRules) -> str:
    """Return what a rule sets."""
    parts = [
        (row.max_fee, f"max fee {fil_format(int(row.max_fee))}"),
        (row.gas_fee_cap, f"fee cap {formatting.fee_text(int(row.gas_fee_cap))}"),
        (row.base_fee, f"sent while the base fee is at most {formatting.fee_text(int(row.base_fee))}"),
        (row.gas_over_estimation, f"gas limit × {row.gas_over_estimation:g}"),
        (row.gas_over_premium, f"premium × {row.gas_over_premium:g}"),
    ]
    return ", ".join(say for value, say in parts if value) or "nothing"


def method_rule_rows() -> list[MethodRuleRow]:
    """Return all rules, by kind and method."""
    rows = list(ActorRules.objects.order_by("code", "method"))
    kinds = kinds_of([row.code for row in rows]) if rows else {}
    return [method_rule_row(row, kind=kinds.get(row.code, "")) for row in rows]


def method_rule_row(row: ActorRules, *, kind: str) -> MethodRuleRow:
    """Return one rule; a code of which no receiver is known stands for its kind."""
    return MethodRuleRow(
        key=str(row.pk),
        kind=kind or formatting.shortened(row.code),
        method=method_name(kind, row.method) if kind else f"method {row.method}",
        say=rule_text(row),
    )


NEW_FIELDS = ("to", "method", *FIELDS)


def operator_only(viewer: Principal) -> None:
    """Rules of methods hold for every tenant."""
    if not (viewer.is_operator and viewer.may("sign")):
        raise Http404


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def rule_new(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Set the rule of a method of the kind of actor that stands at an address."""
    operator_only(viewer)
    form, errors = form_values(request.POST.dict(), NEW_FIELDS), {}
    if request.method == "POST":
        try:
            fees, _ = rules_read(form)
            kind, code = receiver_read(form["to"], client=chain_client())
            method = method_read(form["method"], kind=kind)
            method_rule_set(principal=viewer, code=code, method=method, fees=fees)
        except DomainError as refusal:
            errors[refusal.field if refusal.field in form else "form"] = refusal.reason
        else:
            return redirect(f"{reverse('gas')}#h-methods")
    return rule_page(request, viewer, form, errors)


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def rule_change(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Change what a rule sets."""
    operator_only(viewer)
    row = ActorRules.objects.filter(pk=key).first()
    if row is None:
        raise Http404
    form, errors = form_of(row), {}
    if request.method == "POST":
        form = form_values(request.POST.dict(), FIELDS)
        try:
            fees, _ = rules_read(form)
            method_rule_set(principal=viewer, code=row.code, method=row.method, fees=fees)
        except DomainError as refusal:
            errors[refusal.field if refusal.field in form else "form"] = refusal.reason
        else:
            return redirect(f"{reverse('gas')}#h-methods")
    return rule_page(request, viewer, form, errors, row=row)


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
    request: HttpRequest,
    viewer: Principal,
    form: dict[str, str],
    errors: dict[str, str],
    *,
    row: ActorRules | None = None,
) -> HttpResponse:
    """Show the form; the method of a rule that is there stays."""
    rule = None if row is None else method_rule_row(row, kind=kinds_of([row.code]).get(row.code, ""))
    return page_render(
        request,
        "gas/method_rule.html",
        title="Fee rule of a method",
        section="gas",
        page_key="",
        data=PageData(viewer),
        status=422 if errors else 200,
        form=form,
        errors=errors,
        rule=rule,
        receivers=picker(viewer, "miner", value=form.get("to", "")),
    )


urlpatterns: Final = [
    path("gas/methods/add/", rule_new, name="gas-method-new"),
    path("gas/methods/<uuid:key>/", rule_change, name="gas-method"),
    path("gas/methods/<uuid:key>/remove/", rule_drop, name="gas-method-remove"),
]
