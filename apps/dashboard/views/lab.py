"""Devnet lab: an operator makes the devnet misbehave and moves its chain; other chains have no such page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from apps.chain.lab import KNOBS, KnobValue
from apps.chain.services.lab import ACTS, lab_act, lab_reset, lab_set
from apps.core.errors import BadValue, DomainError
from apps.dashboard.frame import page_render
from apps.dashboard.lines.lab import act_lines, knob_parts
from apps.dashboard.people import for_people
from apps.dashboard.regions.lab import lab_facts, lab_look, lab_nodes, lab_verdict_of
from apps.dashboard.regions.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apps.chain.models import Node
    from apps.users.principals import Principal

TEXT_MAX: Final = 200
"""Longest text of a knob."""


@require_safe
@for_people
def lab(request: HttpRequest, viewer: Principal, pk: int | None = None) -> HttpResponse:
    """One devnet node's knobs; without a number the first node's."""
    node = node_find(viewer, pk)
    return page(request, viewer, lab_context(node, viewer))


def page(
    request: HttpRequest, viewer: Principal, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Render the whole page."""
    return page_render(
        request,
        "lab/detail.html",
        title="Devnet lab",
        section="lab",
        page_key=f"lab:{context['node'].pk}",
        scene=Scene(viewer),
        status=status,
        nodes=lab_nodes(viewer),
        **context,
    )


def node_find(viewer: Principal, pk: int | None) -> Node:
    """Give a devnet's node.  Raises Http404 for tenants and where there is none."""
    for node in lab_nodes(viewer):
        if pk is None or node.pk == pk:
            return node
    raise Http404


def lab_context(
    node: Node, viewer: Principal, *, error: DomainError | None = None, where: str = "", typed: Any = None
) -> dict[str, Any]:
    """Give what the page's panel shows; `error` stands at the form `where`."""
    state, away = lab_look(node)
    refusals = {where: error.reason} if error is not None else {}
    held: Mapping[str, str] = typed or {}
    return {
        "node": node,
        "state": state,
        "away": away,
        "refused": refusals.get("reset", ""),
        "may_act": viewer.may("admin"),
        "verdict": lab_verdict_of(state),
        "facts": lab_facts(state) if state is not None else [],
        "parts": knob_parts(state, refusals=refusals, typed=held) if state is not None else [],
        "acts": act_lines(refusals=refusals, typed=held),
    }


def acting(viewer: Principal, pk: int) -> Node:
    """Give the node that an operator may change.  Raises Http404."""
    if not viewer.may("admin"):
        raise Http404
    return node_find(viewer, pk)


def answered(
    request: HttpRequest, viewer: Principal, node: Node, *, error: DomainError | None = None, where: str = ""
) -> HttpResponse:
    """Answer a form: the panel as it stands now, with the refusal where the click was."""
    if error is None and not getattr(request, "htmx", False):
        return redirect("lab-node", pk=node.pk)
    typed = {name: str(value) for name, value in request.POST.items()}
    typed |= {where: typed["value"]} if "value" in typed else {}
    context = lab_context(node, viewer, error=error, where=where, typed=typed if error is not None else None)
    status = 422 if error is not None else 200
    if not getattr(request, "htmx", False):
        return page(request, viewer, context, status=status)
    return render(request, "lab/_panel.html", context, status=status)


@require_POST
@for_people
def turn(request: HttpRequest, viewer: Principal, pk: int, knob: str) -> HttpResponse:
    """Turn one knob."""
    node = acting(viewer, pk)
    if knob not in KNOBS:
        raise Http404
    try:
        value = knob_read(knob, request.POST.get("value", "").strip())
        lab_set(principal=viewer, node=node, wish={knob: value})
    except DomainError as error:
        return answered(request, viewer, node, error=error, where=knob)
    return answered(request, viewer, node)


@require_POST
@for_people
def reset(request: HttpRequest, viewer: Principal, pk: int) -> HttpResponse:
    """Turn every knob back."""
    node = acting(viewer, pk)
    try:
        lab_reset(principal=viewer, node=node)
    except DomainError as error:
        return answered(request, viewer, node, error=error, where="reset")
    return answered(request, viewer, node)


@require_POST
@for_people
def act(request: HttpRequest, viewer: Principal, pk: int, op: str) -> HttpResponse:
    """Do something to the chain at once."""
    node = acting(viewer, pk)
    if op not in ACTS:
        raise Http404
    try:
        numbers = {number.name: whole_read(request, number.name) for number in ACTS[op].numbers}
        is_on = bool(ACTS[op].switch) and ACTS[op].switch in request.POST
        address = request.POST.get("address", "").strip()
        lab_act(principal=viewer, node=node, act=op, numbers=numbers, address=address, switch=is_on)
    except DomainError as error:
        return answered(request, viewer, node, error=error, where=op)
    return answered(request, viewer, node)


def whole_read(request: HttpRequest, name: str) -> int:
    """Read a whole number.  Raises BadValue."""
    text = request.POST.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadValue("a whole number is needed", field=name)
    return int(text)


def knob_read(knob: str, text: str) -> KnobValue:
    """Read a knob's value in the form of its quiet one.  Raises BadValue."""
    quiet = KNOBS[knob]
    try:
        if isinstance(quiet, bool):
            return {"on": True, "off": False}[text]
        if isinstance(quiet, float):
            return float(text)
        return int(text) if isinstance(quiet, int) else text[:TEXT_MAX]
    except (KeyError, ValueError):
        words = "a number" if isinstance(quiet, float) else "a whole number"
        words = "on or off" if isinstance(quiet, bool) else words
        raise BadValue(f"{words} is needed", field=knob) from None
