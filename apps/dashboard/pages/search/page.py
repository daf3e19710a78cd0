"""Search: results while a person types."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.chain.selectors.heads import head_exactly_at
from apps.core import formatting
from apps.core.errors import BadValue
from apps.core.languages import list_text
from apps.core.uuids import is_uuid
from apps.dashboard.layout import nav_of, page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.messages.rows import message_row
from apps.dashboard.pages.pieces.rows import LABELS
from apps.dashboard.pages.search import objects
from apps.dashboard.pages.search.acts import acts_found
from apps.dashboard.pages.search.objects import MOST, SearchResult
from apps.dashboard.pages.sectors.rows import sector_label
from apps.dashboard.sessions import sign_in_required
from apps.messages.selectors.messages import messages_visible
from apps.messages.selectors.senders import senders_visible
from apps.messages.selectors.stuck import stuck_marked
from apps.miners.selectors.miners import miners_visible
from apps.pieces.selectors import pieces_of_cid
from apps.sectors.rules.sector_names import sector_name_parse
from apps.sectors.selectors.sectors import sectors_visible
from apps.users.rules.principals import Principal
from apps.wallets.selectors import wallets_visible
from poolsite.filecoin.address import ID, Address, BadAddress
from poolsite.filecoin.eth_text import any_address_parse

if TYPE_CHECKING:
    from apps.miners.models import Miner

NAMED: Final = (
    *(objects.hosts, objects.stores, objects.tenants, objects.people),
    *(objects.deals, objects.clients, objects.nodes, objects.consoles),
)
SUGGESTED: Final = 12
"""Things that are suggested while a person types."""
QUERY_MAX: Final = 256
"""Longest question: a message's id has so many characters."""
DIGITS_MAX: Final = 18
NUMBER: Final = re.compile(rf"[0-9]{{1,{DIGITS_MAX}}}")
"""A sector's number without its miner."""


def search_results(data: PageData, text: str) -> list[SearchResult]:
    """Return what matches `text`, what they name exactly before what only has them in its name."""
    text = text.strip()
    if not text or len(text) > QUERY_MAX:
        return []
    sources = (addresses, sectors, messages, pieces, epochs, miners, wallets, *NAMED, pages, acts)
    found: dict[str, SearchResult] = {}
    for source in sources:
        for result in source(data, text):
            found.setdefault(result.href, result)
    return list(found.values())


def address_read(text: str) -> Address | None:
    """Read an address of any form, also one in capitals; None for anything else."""
    for written in (text, text.lower()):
        with suppress(BadAddress):
            return any_address_parse(written)
    return None


def addresses(data: PageData, text: str) -> Iterator[SearchResult]:
    """Yield the miner, wallet or sender of an address."""
    address = address_read(text)
    if address is None:
        return
    is_id = address.protocol == ID
    fits = Q(actor_id=address.actor_id) if is_id else Q(robust=str(address))
    for miner in miners_visible(data.viewer).filter(fits)[:MOST]:
        yield _miner_find(miner)
    known = Q(actor_id=address.actor_id) if is_id else Q(address=str(address))
    yield from _wallet_finds(data, known)
    if not is_id and senders_visible(data.viewer).filter(address=str(address)).exists():
        yield _sender_find(data, str(address))


def _miner_find(miner: Miner) -> SearchResult:
    name = f"{miner.name} {miner.address}".strip()
    href = reverse("miner", args=[miner.address or miner.uuid])
    return SearchResult(
        gettext("Miner"), "miners", name, gettext("tenant {tenant}").format(tenant=miner.tenant.name), href
    )


def _sender_find(data: PageData, address: str) -> SearchResult:
    name = data.names.wallets.get(address) or formatting.shortened(address)
    return SearchResult(
        gettext("Sender"),
        "pipeline",
        name,
        gettext("nonces, messages and fees"),
        reverse("sender", args=[address]),
    )


def _wallet_finds(data: PageData, known: Q) -> Iterator[SearchResult]:
    """Wallets, each with the sender that it may be."""
    for wallet in wallets_visible(data.viewer).filter(known)[:MOST]:
        balance = list_text((formatting.shortened(wallet.address), f"{formatting.fil(wallet.balance)} FIL"))
        name, query = wallet.label or formatting.shortened(wallet.address), urlencode({"q": wallet.address})
        if senders_visible(data.viewer).filter(address=wallet.address).exists():
            yield _sender_find(data, wallet.address)
        yield SearchResult(gettext("Wallet"), "wallets", name, balance, f"{reverse('wallets')}?{query}")


def sectors(data: PageData, text: str) -> Iterator[SearchResult]:
    """Sectors of a number, or of an id."""
    rows = sectors_visible(data.viewer)
    place: tuple[int | None, int] | None = sector_name_parse(text)
    if place is None and NUMBER.fullmatch(text):
        place = None, int(text)
    if is_uuid(text):
        rows = rows.filter(uuid=text)
    elif place is not None:
        # With the miners' keys: only (miner, number) has an index, a number alone would scan.
        seen = [miner.pk for miner in data.miners if place[0] in (None, miner.actor_id)]
        rows = rows.filter(miner__in=seen, number=place[1])
    else:
        return
    for row in rows[:MOST]:
        name = f"{row.miner.address or row.miner} / {row.number}"
        yield SearchResult(
            gettext("Sector"),
            "sectors",
            name,
            sector_label(row, data).word,
            reverse("sector", args=[row.uuid]),
        )


def messages(data: PageData, text: str) -> Iterator[SearchResult]:
    """Yield the message of an id or of a CID: of any version of it, signed or not."""
    rows = stuck_marked(messages_visible(data.viewer), head=data.head, network=data.network)
    for row in rows.filter(objects.message_named(text))[:MOST]:
        shown = message_row(row, data.names)
        yield SearchResult(
            gettext("Message"),
            "messages",
            shown.method,
            list_text((shown.about, shown.label.word)),
            reverse("message", args=[row.pk]),
        )


def pieces(data: PageData, text: str) -> Iterator[SearchResult]:
    """Pieces of a CID of either version."""
    if not objects.cid_read(text):
        return
    with suppress(BadValue):  # malformed within
        for piece in pieces_of_cid(data.viewer, text)[:MOST]:
            yield SearchResult(
                gettext("Piece"),
                "storage",
                formatting.shortened(str(piece.piece_cid)),
                list_text((piece.miner, LABELS[piece.state].word)),
                f"{reverse('pieces')}?{urlencode({'piece_cid': text})}#f-piece-{piece.uuid}",
            )


def epochs(_scene: PageData, text: str) -> Iterator[SearchResult]:
    """Yield the tipset of an epoch that is kept."""
    digits = text.replace(formatting.NARROW, "").replace(" ", "")
    if not digits.isascii() or not digits.isdigit() or len(digits) > DIGITS_MAX:
        return
    if (head := head_exactly_at(int(digits))) is not None:
        sub = gettext("{cids} blocks, base fee {base_fee}").format(
            cids=len(head.cids), base_fee=formatting.fee_text(int(head.base_fee))
        )
        name = gettext("Epoch {height}").format(height=formatting.whole(head.height))
        yield SearchResult(gettext("Tipset"), "chain", name, sub, reverse("chain-tipset", args=[head.height]))


def miners(data: PageData, text: str) -> Iterator[SearchResult]:
    """Miners by their names."""
    for miner in miners_visible(data.viewer).filter(name__icontains=text)[:MOST]:
        yield _miner_find(miner)


def wallets(data: PageData, text: str) -> Iterator[SearchResult]:
    """Wallets by their labels."""
    return _wallet_finds(data, Q(label__icontains=text))


def pages(data: PageData, text: str) -> Iterator[SearchResult]:
    """Pages by their names."""
    for item in (link.item for group in nav_of(data) for link in group.links):
        if str(item.label).lower().startswith(text.lower()):
            yield SearchResult(gettext("Page"), item.icon, str(item.label), "", item.href)


def acts(data: PageData, text: str) -> Iterator[SearchResult]:
    """Yield what can be done by these words, and to which miner."""
    for act, sub, href in islice(acts_found(data.viewer, text), MOST):
        yield SearchResult(gettext("Act"), "run", str(act.label), sub, href)


@require_safe
@sign_in_required
def suggest(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the first things that fit what is being typed."""
    text = request.GET.get("q", "")
    found = search_results(PageData(viewer), text)[:SUGGESTED]
    response = render(request, "search/_suggestions.html", {"found": found, "text": text})
    response["Cache-Control"] = "no-store"
    return response


@require_safe
@sign_in_required
def search(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return what fits the text; a single thing is shown at once."""
    text, data = request.GET.get("q", ""), PageData(viewer)
    found = search_results(data, text)
    if len(found) == 1:
        return redirect(found[0].href)
    return page_render(
        request,
        "search/results.html",
        title=_("Search"),
        section="",
        data=data,
        found=found,
        text=text.strip(),
    )


urlpatterns: Final = [
    path("search/", search, name="search"),
    path("search/suggest/", suggest, name="search-suggest"),
]
