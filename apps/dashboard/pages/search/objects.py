"""Objects that are found by a part of their name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import Q
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext

from apps.chain.selectors.nodes import nodes_pool
from apps.core import formatting
from apps.core.consoles import consoles_seen
from apps.core.uuids import uuid_read
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.consoles.page import can_manage_consoles
from apps.dashboard.pages.deals.rows import LABELS
from apps.market.rules import ulid_decode
from apps.market.selectors.deals import clients_visible, deals_visible
from apps.messages.selectors.messages import message_keys_by_cid
from apps.sectors.selectors.hosts import workers_visible
from apps.sectors.selectors.store_groups import stores_called, stores_known
from apps.users.selectors.people import people_visible
from apps.users.selectors.tenants import tenants_visible
from poolsite.filecoin.address import BadAddress
from poolsite.filecoin.cids import BadCid, cid_parse
from poolsite.filecoin.eth_text import any_address_parse

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

MOST: Final = 8
"""Things of one kind that are shown."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Something that fits."""

    kind: str
    icon: str
    name: str
    sub: StrOrPromise
    href: str


def cid_read(text: str) -> str:
    """Read a CID; empty for anything else."""
    try:
        return str(cid_parse(text))
    except BadCid:
        return ""


def message_named(text: str) -> Q:
    """Return which message has an id, or a CID of any of its versions, signed or not."""
    if cid := cid_read(text):
        return Q(cid=cid) | Q(unsigned_cid=cid) | Q(pk__in=message_keys_by_cid(cid))
    return Q(push_id=text) | Q(pk=text)


def hosts(data: PageData, text: str) -> Iterator[SearchResult]:
    """Hosts by their names."""
    for worker in workers_visible(data.viewer).filter(name__icontains=text)[:MOST]:
        href = reverse("host", args=[worker.uuid])
        yield SearchResult(gettext("Host"), "hosts", worker.name, _tenant_text(worker.tenant.name), href)


def stores(data: PageData, text: str) -> Iterator[SearchResult]:
    """Yield stores by their names."""
    for store in stores_called(stores_known(data.viewer), text)[:MOST]:
        href = reverse("store", args=[store.uuid])
        yield SearchResult(gettext("Store"), "storage", store.name, _tenant_text(store.tenant.name), href)


def tenants(data: PageData, text: str) -> Iterator[SearchResult]:
    """Tenants by their names."""
    for tenant in tenants_visible(data.viewer).filter(name__icontains=text)[:MOST]:
        href = reverse("tenant", args=[tenant.uuid])
        yield SearchResult(gettext("Tenant"), "tenants", tenant.name, tenant.comment, href)


def people(data: PageData, text: str) -> Iterator[SearchResult]:
    """People by their names; each is a row of the list."""
    for person in people_visible(data.viewer).filter(username__icontains=text)[:MOST]:
        name = person.get_username()
        href = f"{reverse('people')}?{urlencode({'q': name})}"
        yield SearchResult(gettext("Person"), "people", name, str(person.get_role_display()), href)


def deals(data: PageData, text: str) -> Iterator[SearchResult]:
    """Deals by their id, as a UUID or as pages write it."""
    key = uuid_read(text)
    if key is None:
        with suppress(ValueError):
            key = ulid_decode(text)
    for deal in deals_visible(data.viewer).filter(uuid=key)[:MOST] if key is not None else ():
        name = formatting.shortened(str(deal.piece_cid))
        yield SearchResult(
            gettext("Deal"), "storage", name, LABELS[deal.state].word, reverse("deal", args=[deal.uuid])
        )


def clients(data: PageData, text: str) -> Iterator[SearchResult]:
    """Clients of deals by their address."""
    try:
        address = str(any_address_parse(text))
    except BadAddress:
        return
    for row in clients_visible(data.viewer).filter(client=address)[:1]:
        name, href = formatting.shortened(row["client"]), reverse("client", args=[row["client"]])
        yield SearchResult(gettext("Client"), "storage", name, "", href)


def nodes(data: PageData, text: str) -> Iterator[SearchResult]:
    """Nodes of the pool by their names, for its operator."""
    for node in nodes_pool().filter(name__icontains=text)[:MOST] if data.viewer.sees_pool else ():
        yield SearchResult(gettext("Node"), "chain", node.name, "", f"{reverse('chain')}#f-node-{node.pk}")


def consoles(data: PageData, text: str) -> Iterator[SearchResult]:
    """Machines of the console by their names, for its operator."""
    for seen in consoles_seen() if can_manage_consoles(data.viewer) else ():
        if text.lower() in seen.row.machine.lower():
            yield SearchResult(gettext("Console"), "hosts", seen.row.machine, "", reverse("consoles"))


def _tenant_text(name: str) -> str:
    return gettext("tenant {tenant}").format(tenant=name)
