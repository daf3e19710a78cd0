"""What can be done from anywhere: an act by its words, with what it is done to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import Q
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override

from apps.core.formatting import shortened
from apps.dashboard.pages.search.objects import message_named
from apps.messages.selectors.messages import messages_visible
from apps.miners.selectors.miners import miners_visible
from apps.sectors.rules.sector_names import sector_name_parse
from apps.sectors.selectors.host_groups import hosts_called, hosts_known
from apps.sectors.selectors.sectors import sectors_visible
from apps.users.rules.principals import Principal
from poolsite.filecoin.address import ID, BadAddress
from poolsite.filecoin.eth_text import any_address_parse

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.miners.models import Miner

MOST: Final = 5
"""Miners that an act is offered for where none is named."""


@dataclass(frozen=True, slots=True)
class Act:
    """An act with the page on which it is done."""

    label: StrOrPromise
    page: str
    perm: str
    """Level that it needs."""
    of_miner: str = ""
    """`path`: its address holds the miner; `query`: its form does; empty: it is of no miner."""
    of_object: str = ""
    """Kind of the object that it is done to, whose key its address holds: host, sector, message."""
    button: str = ""
    """Key of its button on that page; empty: the page is the act's own, or has no such button."""
    is_of_pool: bool = False
    """Whether only the operator does it."""

    @property
    def english(self) -> str:
        """Return its words in English, in which it is found in every language."""
        with override("en"):
            return str(self.label).lower()


ACTS: Final = (
    Act(_("Pledge sectors"), "pledge", "sign", of_miner="query"),
    Act(_("Withdraw"), "miner-withdraw", "sign", of_miner="path"),
    Act(_("Send a message"), "message-compose", "sign"),
    Act(_("Change owner, worker and control addresses"), "miner-addresses", "sign", of_miner="path"),
    Act(_("Choose senders"), "miner-senders", "sign", of_miner="path"),
    Act(_("Set a pledging target"), "miner-target", "sign", of_miner="path"),
    Act(_("Batch settings"), "miner-batches", "sign", of_miner="path"),
    Act(_("Send waiting sectors now"), "miner-batches-send", "sign", of_miner="path"),
    Act(_("Adopt sectors"), "miner-adopt", "sign", of_miner="path"),
    Act(_("Assign roles"), "miner-roles", "sign", of_miner="path"),
    Act(_("Market settings"), "miner-market", "sign", of_miner="path"),
    Act(_("Move a miner in"), "miner-move-in", "sign", of_miner="path"),
    Act(_("Move a miner out"), "miner-move-out", "sign", of_miner="path"),
    Act(_("Extend expiring sectors"), "sectors-expirations", "sign"),
    Act(_("Retry failed sectors"), "sectors-failures", "write"),
    Act(_("Retry stuck messages"), "messages-failures", "sign"),
    Act(_("Add a miner"), "miner-new", "sign"),
    Act(_("Join a host"), "host-join", "admin"),
    Act(_("Host settings"), "host-settings", "admin"),
    Act(_("Attach a store"), "store-attach", "sign"),
    Act(_("Create a token"), "token-new", "admin"),
    Act(_("Invite a person"), "person-invite", "admin"),
    Act(_("Create a tenant"), "tenant-new", "admin", is_of_pool=True),
    Act(_("Add a node"), "chain-node-new", "admin", is_of_pool=True),
    Act(_("Add a console machine"), "console-join", "admin", is_of_pool=True),
    Act(_("Pause a host"), "host", "write", of_object="host", button="pause"),
    Act(_("Resume a host"), "host", "write", of_object="host", button="resume"),
    Act(_("Drain a host"), "host", "write", of_object="host"),
    Act(_("Retire a host"), "host-retire", "write", of_object="host"),
    Act(_("Settings of a host"), "host-setting", "write", of_object="host"),
    Act(_("Retry a sector"), "sector", "write", of_object="sector"),
    Act(_("Terminate a sector"), "sector", "sign", of_object="sector", button="terminate"),
    Act(_("Extend a sector"), "sector", "sign", of_object="sector", button="extend"),
    Act(_("Retry a message"), "message", "sign", of_object="message", button="retry-now"),
    Act(_("Replace a message"), "message-replace", "sign", of_object="message"),
    Act(_("Cancel a message"), "message", "sign", of_object="message"),
)


def acts_found(viewer: Principal, text: str) -> Iterator[tuple[Act, str, str]]:
    """Yield each act that `text` begins to name, with what it names beside it, and the address.

    `withdraw f01004` is one act; `withdraw` one for each of the first miners, `pause` one for each of the
    first hosts.  An act with a button on the object's page leads there.
    """
    words = text.split()
    for act in ACTS:
        if not viewer.may(act.perm) or (act.is_of_pool and not viewer.sees_pool):
            continue
        rest = _rest(act, words)
        if rest is None or (rest and not (act.of_miner or act.of_object)):
            continue
        named = " ".join(rest)
        if act.of_object and (named or _is_verb(act, words)):
            at = f"#action-{act.button}" if act.button else ""
            for key, name in OBJECTS[act.of_object](viewer, named):
                yield act, name, f"{reverse(act.page, args=[key])}{at}"
        elif act.of_object:
            continue
        elif act.of_miner:
            for miner in _miners(viewer, named.lower()):
                yield act, f"{miner.name} {miner.address}".strip(), _address(act, miner)
        else:
            yield act, "", reverse(act.page)


def _is_verb(act: Act, words: list[str]) -> bool:
    """Return whether a word begins what the act does, not what it does it to, which many acts share."""
    return any(
        verb.startswith(word.lower()) for verb in (act.english, str(act.label).lower()) for word in words
    )


def _rest(act: Act, words: list[str]) -> list[str] | None:
    """Return the words that are not the act's own; None if none is, in this language or in English."""
    own = [str(act.label).lower(), *act.english.split()]
    rest = [word for word in words if not any(one.startswith(word.lower()) for one in own)]
    return None if len(rest) == len(words) else rest


def _miners(viewer: Principal, name: str) -> list[Miner]:
    """Return the miners that a text names: by address, by a sector of it, or by a part of its name."""
    rows = miners_visible(viewer).exclude(actor_id=None)
    if not name:
        return list(rows[:MOST])
    if (sector := sector_name_parse(name)) is not None:
        return list(rows.filter(actor_id=sector[0])[:1])
    known = Q(name__icontains=name)
    try:
        address = any_address_parse(name)
        known |= Q(actor_id=address.actor_id) if address.protocol == ID else Q(robust=str(address))
    except BadAddress:
        pass
    return list(rows.filter(known)[:MOST])


def _hosts(viewer: Principal, name: str) -> Iterator[tuple[object, str]]:
    for row in hosts_called(hosts_known(viewer), name).filter(retired_at=None)[:MOST]:
        yield row.uuid, row.name


def _sectors(viewer: Principal, name: str) -> Iterator[tuple[object, str]]:
    if (place := sector_name_parse(name)) is not None:
        rows = sectors_visible(viewer).filter(miner__actor_id=place[0], number=place[1])
        yield from ((row.uuid, f"{row.miner.address} / {row.number}") for row in rows[:1])


def _messages(viewer: Principal, name: str) -> Iterator[tuple[object, str]]:
    if name:
        rows = messages_visible(viewer).filter(message_named(name))
        yield from ((row.pk, shortened(row.pk)) for row in rows[:1])


OBJECTS: Final = {"host": _hosts, "sector": _sectors, "message": _messages}
"""Finds what an act is done to by the words beside it: its key and its name."""


def _address(act: Act, miner: Miner) -> str:
    if act.of_miner == "path":
        return reverse(act.page, args=[miner.address])
    return f"{reverse(act.page)}?{urlencode({'miner': miner.address})}"
