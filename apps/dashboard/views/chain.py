"""Chain: nodes, tipsets with their messages; an operator adds, tests, switches and promotes nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.chain.client import chain_client
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.models import Head, Node
from apps.chain.selectors import head_after, head_at, network_state
from apps.chain.services import node_add, node_promote, node_remove, node_set, node_test
from apps.chain.states import NodeRole
from apps.chain.upgrades import upgrade_next
from apps.core.clock import now
from apps.core.errors import DomainError
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.fragments.chain import chain_context, network_facts, node_rows, verdict_of
from apps.dashboard.fragments.context import FragmentContext
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.rows.chain import ChainMessage, head_row, message_row, node_row
from apps.dashboard.sessions import sign_in_required
from apps.miners.services.network_unbind import network_may_unbind, network_unbind

if TYPE_CHECKING:
    from apps.users.principals import Principal

OPS: Final = ("enable", "disable", "promote", "remove")
MESSAGES_SHOWN: Final = 200
WEIGHT_MAX: Final = 1000
HEIGHT_DIGITS: Final = 16
UNBIND_TEXT: Final = (
    "The heads that were followed are forgotten, and the next node that answers binds the pool again. "
    "Remove or disable the nodes of this network first."
)


@require_safe
@sign_in_required
def chain(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """The nodes and the newest tipsets; with `height` the tipset of that height."""
    wanted = request.GET.get("height", "").strip()
    found = head_wanted(wanted)
    if found is not None:
        return redirect("chain-tipset", height=found.height)
    context = FragmentContext(viewer, "")
    return page_render(
        request,
        "chain/list.html",
        title="Chain",
        section="chain",
        page_key="chain",
        data=context.data,
        verdict=verdict_of(context),
        nodes=node_rows(viewer),
        shows_nodes=viewer.is_operator,
        may_create=viewer.is_operator and viewer.may("admin"),
        facts=network_facts(context),
        may_unbind=may_unbind(viewer),
        wanted=wanted,
        not_found=f"No tipset is kept at {wanted} or before it." if wanted else "",
        status=404 if wanted else 200,
        **chain_context(),
    )


def may_unbind(viewer: Principal) -> bool:
    """Return whether the viewer may undo the pool's binding to its network, and nothing hangs on it."""
    return viewer.is_operator and viewer.may("admin") and network_may_unbind()


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def unbind(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Ask first, then unbind the pool from a network that it was bound to by mistake."""
    if not (viewer.is_operator and viewer.may("admin")):
        raise Http404
    refusal = ""
    if is_confirm_submitted(request):
        if (held := reauthenticate_first(request, viewer)) is not None:
            return held
        try:
            network_unbind(principal=viewer)
        except DomainError as error:
            refusal = error.reason
        else:
            return redirect("chain")
    state = network_state()
    ask = ConfirmPage(
        title="Unbind the pool from its network",
        text=refusal or UNBIND_TEXT,
        label="Unbind",
        back=reverse("chain"),
        page="Chain",
        section="chain",
        facts=(("Network", state.name or "none"),),
    )
    return confirm_page_render(request, viewer, ask, status=422 if refusal else 200)


def head_wanted(text: str) -> Head | None:
    """Return the tipset at a height that somebody typed, or the one before it; None for what is no height."""
    if not (text.isascii() and text.isdigit() and len(text) < HEIGHT_DIGITS):
        return None
    return head_at(int(text))


@require_safe
@sign_in_required
def tipset(request: HttpRequest, viewer: Principal, height: int) -> HttpResponse:
    """One tipset with its messages, decoded."""
    head = Head.objects.filter(height=height, is_canonical=True).first()
    if head is None:
        raise Http404
    data = PageData(viewer)
    messages, error = messages_of(head, miners={miner.address for miner in data.miners if miner.address})
    return page_render(
        request,
        "chain/tipset.html",
        title=f"Tipset {height}",
        section="chain",
        page_key="",
        data=data,
        head=head_row(head),
        cids=list(zip(head.cids, [*head.miners, *[""] * len(head.cids)], strict=False)),
        parents=head.parent_key.split(),
        older=head_at(height - 1),
        newer=head_after(height),
        messages=messages[:MESSAGES_SHOWN],
        messages_more=max(len(messages) - MESSAGES_SHOWN, 0),
        error=error,
    )


def messages_of(head: Head, *, miners: set[str]) -> tuple[list[ChainMessage], str]:
    """Ask a node for a tipset's messages, and for what came of them once the tipset above is there."""
    above = Head.objects.filter(parent_key=head.key, is_canonical=True).first()
    if above is None:
        return [], "The messages are shown once the next tipset has executed them."
    client = chain_client()
    try:
        found = client.chain_get_parent_messages(above.cids[0])
        receipts = client.chain_get_parent_receipts(above.cids[0])
    except (NodeUnavailable, NodeRefused) as error:
        return [], error.reason
    padded = [*receipts, *[None] * (len(found) - len(receipts))]
    pairs = zip(found, padded, strict=False)
    return [message_row(str(cid), one, receipt, miners=miners) for (cid, one), receipt in pairs], ""


@require_POST
@sign_in_required
def node_act(request: HttpRequest, viewer: Principal, pk: int, op: str) -> HttpResponse:
    """Switch a node on or off, make it the first that is read, or take it out; answers with its row."""
    node = Node.objects.filter(pk=pk).first()
    if op not in OPS or node is None or not (viewer.is_operator and viewer.may("admin")):
        raise Http404
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
        error = refusal.reason
    if not getattr(request, "htmx", False):
        return redirect("chain")
    row = node_row(Node.objects.get(pk=pk), may_act=True, upgrade=upgrade_next())
    return render(request, "chain/_node.html", {"node": row, "refusal": error}, status=422 if error else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def node_new(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Ask for a node's address, test it, and take it into the pool."""
    if not (viewer.is_operator and viewer.may("admin")):
        raise Http404
    form = {name: request.POST.get(name, "").strip() for name in ("url", "name", "role", "weight")}
    found, errors = None, {}
    if request.method == "POST":
        if (held := reauthenticate_first(request, viewer)) is not None:
            return held
        try:
            weight, role = form_read(form)
            if "test" in request.POST:
                found = node_row(node_test(form["url"], now=now()), may_act=False, upgrade=upgrade_next())
            else:
                values: dict[str, Any] = {"role": role, "weight": weight, "name": form["name"]}
                node_add(principal=viewer, text=form["url"], now=now(), **values)
                return redirect("chain")
        except DomainError as refusal:
            errors["url"] = refusal.reason
        except ValueError:
            errors["weight"] = f"a whole number from 0 to {WEIGHT_MAX}"
    return page_render(
        request,
        "chain/add.html",
        title="Add a node",
        section="chain",
        page_key="",
        data=PageData(viewer),
        status=422 if errors else 200,
        form=form,
        found=found,
        errors=errors,
        roles=NodeRole.choices,
    )


def form_read(form: dict[str, str]) -> tuple[int, str]:
    """Read weight and role.  Raises ValueError."""
    weight = int(form["weight"] or "1")
    if not 0 <= weight <= WEIGHT_MAX:
        raise ValueError(form["weight"])
    return weight, NodeRole(form["role"] or NodeRole.MAIN)
