"""Nodes: an operator adds, tests, switches and promotes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.chain.selectors.nodes import node_get
from apps.chain.selectors.upgrades import upgrade_next
from apps.chain.services.nodes import node_add, node_promote, node_remove, node_set, node_test
from apps.chain.states import NodeRole
from apps.core.clock import now
from apps.core.errors import DomainError
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.fragments import FragmentContext, fragment
from apps.dashboard.number_fields import Whole
from apps.dashboard.pages.chain.node_rows import node_row, node_rows
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice, Text
from apps.users.rules.principals import Principal


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the changed nodes."""
    wanted = {int(key) for key in keys if key.isdigit()}
    for row in node_rows(context.viewer):
        if row.pk in wanted:
            yield fragment("chain/_node.html", node=row)


OPS: Final = ("enable", "disable", "promote", "remove")
WEIGHT_MAX: Final = 1000


@require_POST
@sign_in_required
def node_act(request: HttpRequest, viewer: Principal, pk: int, op: str) -> HttpResponse:
    """Switch a node on or off, make it the first that is read, or take it out; answers with its row."""
    if op not in OPS or not (viewer.is_operator and viewer.may("admin")):
        raise Http404
    node = node_get(str(pk))
    if (held := reauthenticate_first(request, viewer)) is not None:
        return held
    error = ""
    try:
        if op == "promote":
            node_promote(principal=viewer, node=node)
        elif op == "remove":
            node_remove(principal=viewer, node=node)
            return redirect("chain") if not getattr(request, "htmx", False) else HttpResponse("")
        else:
            node_set(principal=viewer, node=node, is_enabled=op == "enable")
    except DomainError as refusal:
        error = refusal_text(refusal)
    if not getattr(request, "htmx", False):
        return redirect("chain")
    row = node_row(node_get(str(pk)), may_act=True, upgrade=upgrade_next())
    return render(request, "chain/_node.html", {"node": row, "refusal": error}, status=422 if error else 200)


class NodeForm(PageForm):
    """A node to take into the pool."""

    blamed = "url"
    url = Text()
    name = Text()
    role = Choice(NodeRole.choices, initial=NodeRole.MAIN, coerce=NodeRole)
    weight = Whole(least=0, most=WEIGHT_MAX, initial=1, empty=1)


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def node_new(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the form for a node's address, test it, and take it into the pool."""
    if not (viewer.is_operator and viewer.may("admin")):
        raise Http404
    form, found = NodeForm.of(request), None
    if form.is_bound and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    if form.is_valid():
        with form.refusals():
            url = form.cleaned_data["url"]
            if "test" in request.POST:
                found = node_row(node_test(url, now=now()), may_act=False, upgrade=upgrade_next())
            else:
                rest = {name: form.cleaned_data[name] for name in ("name", "role", "weight")}
                node_add(principal=viewer, text=url, now=now(), **rest)
                return redirect("chain")
    return form_render(
        request,
        viewer,
        "chain/add.html",
        form,
        title=_("Add a node"),
        section="chain",
        found=found,
    )


urlpatterns: Final = [
    path("chain/nodes/add/", node_new, name="chain-node-new"),
    path("chain/nodes/<int:pk>/<str:op>/", node_act, name="chain-node-act"),
]
