"""Messages that wait in a node's pool."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import groupby
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.client import page_client
from apps.core import formatting
from apps.core.formatting import plural
from apps.dashboard.cards import Verdict
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.chain.tipset import params_text
from apps.dashboard.pagination import page_counted
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.messages.rules.methods import receiver_kind
from apps.users.rules.principals import Principal
from poolsite.filecoin.actors.decode import method_name
from poolsite.filecoin.address import BadAddress
from poolsite.filecoin.message import SignedMessage


def sender_rows(pending: Iterable[SignedMessage], *, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Lay out the senders, those with most messages first; `pending` is in order of sender and nonce."""
    groups = [
        (address, list(group)) for address, group in groupby(pending, key=lambda one: str(one.message.from_))
    ]
    groups.sort(key=lambda group: (-len(group[1]), group[0]))
    return [sender_row(address, group) | {"name": names.get(address, "")} for address, group in groups]


def sender_row(address: str, group: list[SignedMessage]) -> dict[str, Any]:
    """Return what a sender has in the pool: nonces, the least premium, and the most that its gas may cost."""
    nonces = sorted({signed.message.nonce for signed in group})
    return {
        "address": address,
        "count": len(group),
        "first": nonces[0],
        "last": nonces[-1],
        "missing": nonces[-1] - nonces[0] + 1 - len(nonces),
        "premium": min(signed.message.gas_premium for signed in group),
        "most": sum(one.message.gas_limit * one.message.gas_fee_cap for one in group),
    }


def pending_row(signed: SignedMessage, *, base_fee: int, miners: Collection[str]) -> dict[str, Any]:
    """Return one message; what the fee cap means is told against the newest base fee."""
    message = signed.message
    try:
        kind = receiver_kind(str(message.to), kind="", miners=miners)
    except BadAddress:
        kind = ""
    return {
        "signed": signed.message,
        "cid": signed.cid,
        "method": method_name(kind, message.method),
        "params": params_text(kind, message.method, message.params),
        "pays": message.gas_fee_cap >= base_fee,
    }


@require_safe
@sign_in_required
def mempool(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the senders, those with most messages first."""
    data = PageData(viewer)
    pending, error = pending_now()
    shown, pager = page_counted(sender_rows(pending, names=data.names.wallets), request.GET.get("after", ""))
    return page_render(
        request,
        "chain/mempool.html",
        title=_("Message pool"),
        section="chain",
        data=data,
        verdict=verdict_of(pending, error=error, base_fee=base_fee_of(data)),
        senders=shown,
        pager=pager,
    )


@require_safe
@sign_in_required
def sender(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """One sender's messages in the order of their nonces."""
    data = PageData(viewer)
    pending, error = pending_now()
    mine = [signed for signed in pending if str(signed.message.from_) == address]
    shown, pager = page_counted(mine, request.GET.get("after", ""))
    base_fee = base_fee_of(data)
    miners = {miner.address for miner in data.miners if miner.address}
    return page_render(
        request,
        "chain/sender.html",
        title=_("Pending messages"),
        section="chain",
        data=data,
        verdict=verdict_of(mine, error=error, base_fee=base_fee),
        address=address,
        name=data.names.wallets.get(address, ""),
        messages=[pending_row(signed, base_fee=base_fee, miners=miners) for signed in shown],
        pager=pager,
    )


def base_fee_of(data: PageData) -> int:
    """Return the newest base fee; 0 before the first head."""
    return int(data.head.base_fee) if data.head is not None else 0


def pending_now() -> tuple[list[SignedMessage], str]:
    """Query the best node; gives no message and the reason where none answers."""
    try:
        return page_client().mpool_pending(), ""
    except (NodeUnavailable, NodeRefused) as error:
        return [], refusal_text(error)


def verdict_of(pending: list[SignedMessage], *, error: str, base_fee: int) -> Verdict:
    """Return in one sentence how full the pool is."""
    if error:
        return Verdict(_("The message pool is unavailable:"), error)
    senders = len({signed.message.from_ for signed in pending})
    low = sum(signed.message.gas_fee_cap < base_fee for signed in pending)
    rest = gettext("The base fee is {base_fee}").format(base_fee=formatting.fee_text(base_fee))
    rest += (
        gettext("; {messages} cannot pay it.").format(messages=plural(low, "message"))
        if low
        else gettext("; all of them can pay it.")
    )
    if not pending:
        return Verdict(
            _("No messages pending."),
            gettext("The base fee is {base_fee}.").format(base_fee=formatting.fee_text(base_fee)),
        )
    return Verdict(
        gettext("{messages} pending from {senders}.").format(
            messages=plural(len(pending), "message"), senders=plural(senders, "sender")
        ),
        rest,
    )


urlpatterns: Final = [
    path("chain/mempool/", mempool, name="chain-mempool"),
    path("chain/mempool/<str:address>/", sender, name="chain-sender"),
]
