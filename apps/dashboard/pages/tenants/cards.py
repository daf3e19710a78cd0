"""Short lists on a tenant's page: its people, tokens, signers, hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.dashboard.first_steps import tenant_only
from apps.dashboard.labels import StateLabel
from apps.dashboard.list_page import Link
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.gateway.connection_rows import keys_text
from apps.dashboard.pages.hosts.job_text import kind_text
from apps.dashboard.pages.hosts.state import worker_label
from apps.dashboard.pages.people.page import person_label
from apps.dashboard.pages.tokens.listing import limits_text, token_label
from apps.gateway.selectors.connections import signers_connected
from apps.sectors.selectors.hosts import workers_visible
from apps.users.selectors.people import people_visible
from apps.users.selectors.tokens import tokens_valid_of
from apps.users.services.people import can_manage_people

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.gateway.models import SignerConnection
    from apps.sectors.models import Worker
    from apps.users.models import Tenant, Token, User

SHOWN: Final = 10
"""Rows of each list."""


@dataclass(frozen=True, slots=True)
class CardRow:
    """One of them."""

    name: str
    label: StateLabel
    text: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class ListCard:
    """One short list."""

    key: str
    title: StrOrPromise
    about: StrOrPromise
    rows: Sequence[CardRow]
    has_more: bool
    links: Sequence[Link]
    empty: StrOrPromise


def list_cards(data: PageData, tenant: Tenant) -> list[ListCard]:
    """Return the lists of a tenant that the viewer may see."""
    own, name = tenant_only(data.viewer, tenant), tenant.name

    def person(row: User) -> CardRow:
        return CardRow(row.get_username(), person_label(row), str(row.get_role_display()))

    def token(row: Token) -> CardRow:
        return CardRow(row.name, token_label(row, at=data.at), list_text((row.perm, limits_text(row))))

    def signer(row: SignerConnection) -> CardRow:
        keys = plural(len(row.signer_keys.all()), "key")
        return CardRow(keys_text(row, data), StateLabel("ok", _("connected")), keys, reverse("gateway"))

    def host(row: Worker) -> CardRow:
        kinds = list_text(kind_text(kind) for kind in row.kinds)
        return CardRow(row.name, worker_label(row, now=data.at), kinds, reverse("host", args=[row.uuid]))

    may = can_manage_people(data.viewer)
    tokens = tokens_valid_of(data.viewer, tenant=tenant, now=data.at)
    people, signers, hosts = people_visible(own), signers_connected(own), workers_visible(own)
    return [
        ListCard(
            "people",
            _("People"),
            _("who can sign in for it"),
            *_first(people, person),
            links=[*_links(_("All"), "people"), *_links(_("Invite…"), "person-invite", may, tenant=name)],
            empty=_("Nobody yet."),
        ),
        ListCard(
            "tokens",
            _("Tokens"),
            _("valid ones, the newest first"),
            *_first(tokens, token),
            links=[*_links(_("All"), "tokens"), *_links(_("New token…"), "token-new", may, tenant=name)],
            empty=_("No valid tokens."),
        ),
        ListCard(
            "connected",
            _("Signers"),
            _("connected now"),
            *_first(signers, signer),
            links=[
                *_links(_("All"), "gateway"),
                *_links(_("Token for a signer…"), "token-new", may, tenant=name, part="signer"),
            ],
            empty=_("No signer is connected."),
        ),
        ListCard(
            "hosts",
            _("Hosts"),
            _("that seal or prove for it"),
            *_first(hosts, host),
            links=[*_links(_("All"), "hosts"), *_links(_("Join a host…"), "host-join", may, tenant=name)],
            empty=_("No hosts."),
        ),
    ]


def _first(found: Any, lay_out: Callable[[Any], CardRow]) -> tuple[list[CardRow], bool]:
    """Return the rows that are shown, and whether there are more."""
    rows = list(found[: SHOWN + 1])
    return [lay_out(row) for row in rows[:SHOWN]], len(rows) > SHOWN


def _links(label: StrOrPromise, page: str, is_shown: bool = True, **filled: str) -> Iterator[Link]:
    """Yield the link to a page with what is filled in there."""
    if is_shown:
        query = f"?{urlencode(filled)}" if filled else ""
        yield Link(label, f"{reverse(page)}{query}")
