"""One tipset with its messages, decoded."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.client import page_client
from apps.chain.selectors.heads import head_above, head_after, head_at, head_exactly_at
from apps.chain.selectors.upgrades import params_version
from apps.core import formatting
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.messages.rules.methods import receiver_kind
from apps.users.rules.principals import Principal
from poolsite.filecoin.actors.decode import kind_by_params, method_name, params_display, return_decode
from poolsite.filecoin.actors.exitcodes import exit_code_text
from poolsite.filecoin.address import BadAddress
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.message import Message, Receipt

if TYPE_CHECKING:
    from apps.chain.models import Head


PARAMS_MAX: Final = 2000
"""Longest text of a message's parameters on the page."""


@dataclass(frozen=True, slots=True)
class ChainMessage:
    """One message of a tipset, decoded."""

    cid: str
    from_: str
    to: str
    value: str
    method: str
    params: str
    tone: str
    result: str
    gas: str
    """Gas used, of the limit."""
    returned: str
    """What the method gave back, as readable fields."""


def message_row(
    cid: str, message: Message, receipt: Receipt | None, *, miners: Collection[str], height: int = 0
) -> ChainMessage:
    """Lay out a message with what came of it; None while the tipset above is not there yet."""
    try:
        kind = receiver_kind(str(message.to), kind="", miners=miners)
    except BadAddress:
        kind = ""
    kind = kind or kind_by_params(message.method, message.params)
    tone, result = "idle", gettext("not executed yet")
    if receipt is not None:
        tone = "ok" if receipt.exit_code == 0 else "bad"
        result = "ok" if receipt.exit_code == 0 else gettext(exit_code_text(receipt.exit_code, actor=kind))
    used = None if receipt is None else receipt.gas_used
    version = params_version(kind, message.method, height=height)
    return ChainMessage(
        cid=cid,
        from_=str(message.from_),
        to=str(message.to),
        value=formatting.fil(message.value),
        method=method_name(kind, message.method),
        params=params_text(kind, message.method, message.params, version=version),
        tone=tone,
        result=result,
        gas=gettext("{used} of {gas_limit}").format(
            used=formatting.whole(used), gas_limit=formatting.whole(message.gas_limit)
        )
        if used is not None
        else "",
        returned=return_text(
            kind, message.method, b"" if receipt is None else receipt.return_, version=version
        ),
    )


def return_text(kind: str, method: int, data: bytes, *, version: int | None = None) -> str:
    """Write what a method gave back as readable fields, or as hex where nobody knows its form."""
    try:
        value: Any = return_decode(kind, method, data, version=version)
    except (BadCbor, KeyError):
        return data.hex()[:PARAMS_MAX]
    return "" if value is None else json.dumps(value, ensure_ascii=False)[:PARAMS_MAX]


def params_text(kind: str, method: int, params: bytes, *, version: int | None = None) -> str:
    """Write parameters as readable fields, or as they are where nobody knows their form."""
    value: Any = params_display(kind, method, params, version=version)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "" if value is None else text[:PARAMS_MAX]


MESSAGES_SHOWN: Final = 200


@require_safe
@sign_in_required
def tipset(request: HttpRequest, viewer: Principal, height: int) -> HttpResponse:
    """One tipset with its messages, decoded."""
    head = head_exactly_at(height)
    if head is None:
        raise Http404
    data = PageData(viewer)
    messages, error = messages_of(head, miners={miner.address for miner in data.miners if miner.address})
    return page_render(
        request,
        "chain/tipset.html",
        title=gettext("Tipset {height}").format(height=height),
        section="chain",
        data=data,
        head=head,
        cids=list(zip(head.cids, [*head.miners, *[""] * len(head.cids)], strict=False)),
        parents=head.parent_key.split(),
        older=head_at(height - 1),
        newer=head_after(height),
        messages=messages[:MESSAGES_SHOWN],
        messages_more=max(len(messages) - MESSAGES_SHOWN, 0),
        error=error,
    )


def messages_of(head: Head, *, miners: set[str]) -> tuple[list[ChainMessage], str]:
    """Fetch a tipset's messages from a node, and what came of them once the tipset above is there."""
    above = head_above(head)
    if above is None:
        return [], gettext("The messages are shown once the next tipset has executed them.")
    client = page_client()
    try:
        found = client.chain_get_parent_messages(above.cids[0])
        receipts = client.chain_get_parent_receipts(above.cids[0])
    except (NodeUnavailable, NodeRefused) as error:
        return [], refusal_text(error)
    padded = [*receipts, *[None] * (len(found) - len(receipts))]
    pairs = zip(found, padded, strict=False)
    rows = [
        message_row(str(cid), one, receipt, miners=miners, height=head.height)
        for (cid, one), receipt in pairs
    ]
    return rows, ""


urlpatterns: Final = [
    path("chain/<int:height>/", tipset, name="chain-tipset"),
]
