"""Choosing a miner, tenant, wallet, host or store in a form: a list of a handful, a search for more.

A picker with many choices is a text field with suggestions; without JavaScript it suggests the first ones and
takes whatever is typed, which the form's own service checks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from django.db.models import BooleanField, ExpressionWrapper, Q
from django.utils.http import urlencode
from django.utils.translation import gettext

from apps.core import formatting
from apps.core.filters import TEXT_MAX
from apps.core.languages import list_text
from apps.miners.selectors.miners import miner_principal, miners_visible
from apps.miners.states import MinerState
from apps.sectors.selectors.host_groups import hosts_called, hosts_doing, hosts_known, machines_known
from apps.sectors.selectors.store_groups import stores_called, stores_known
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenant_resolve, tenants_visible
from apps.wallets.selectors import wallets_sending, wallets_visible
from poolsite.filecoin.keys import KEY_BLS, KEY_SECP256K1
from poolsite.wire.jobs import STAGED

if TYPE_CHECKING:
    from apps.miners.models import Miner
    from apps.sectors.models import Store, Worker
    from apps.wallets.models import Wallet


HANDFUL: Final = 12
"""More choices than this are searched, not listed."""
SUGGESTED: Final = 20
NAMED: Final = {"tenant", "host", "sealing-host", "machine", "store"}
"""Kinds that are found by name, not by address."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that fits: what the form sends, and how people know it."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Picker:
    """One field of a form."""

    kind: str
    choices: tuple[Choice, ...]
    is_searched: bool
    """Whether there are more than `choices`."""
    chosen: str
    """How the value is known that the form has already; empty for none."""
    omit: str
    """A value that does not fit, such as the tenant that has the miner already."""
    of: str = ""
    """The miner whose tenant's wallets are offered; empty: the viewer's own."""
    tenant: str = ""
    """Name of the chosen tenant, whose objects alone are suggested; empty: all that the viewer sees."""

    @property
    def prompt(self) -> str:
        """Return the placeholder: whether values are found by name, or by address too."""
        return gettext("Name") if self.kind in NAMED else gettext("Name or address")

    @property
    def narrowed(self) -> str:
        """Return what a search leaves out, as a part of its query."""
        return urlencode({"omit": self.omit, "of": self.of, "tenant": self.tenant})


def tenant_choices(viewer: Principal, text: str, limit: int) -> list[Choice]:
    """Return tenants that may log in, by name or comment; comments may be alike, so the name is shown too."""
    rows = tenants_visible(viewer).filter(Q(name__icontains=text) | Q(comment__icontains=text), enabled=True)
    return [
        Choice(row.name, f"{row.name} ({row.comment})" if row.comment else row.name) for row in rows[:limit]
    ]


def miner_choices(viewer: Principal, text: str, limit: int) -> list[Choice]:
    """Return miners that exist on chain, by name or address."""
    digits = text.lower().removeprefix("f0").removeprefix("t0")
    fits = Q(name__icontains=text)
    if digits.isascii() and digits.isdigit() and len(digits) < 19:
        fits |= Q(actor_id__startswith=int(digits))
    rows = miners_visible(viewer).prefetch_related(None).filter(fits, state=MinerState.ACTIVE)
    fields = rows.values_list("actor_id", "name", "tenant__name")[:limit]
    addressed = (("" if actor_id is None else f"f0{actor_id}", *names) for actor_id, *names in fields)
    return [Choice(address, _miner_text(address, *names)) for address, *names in addressed]


def miner_label(miner: Miner) -> str:
    """Return a miner as people know it: `fra-1 f01004 (pool)`."""
    return _miner_text(miner.address, miner.name, miner.tenant.name)


def _miner_text(address: str, name: str, tenant: str) -> str:
    return f"{name} {address} ({tenant})".strip()


def wallet_choices(
    viewer: Principal, text: str, limit: int, *, key_types: Collection[str] = (), is_on_chain: bool = False
) -> list[Choice]:
    """Return wallets with their balances, by name or address."""
    rows = wallets_visible(viewer).filter(Q(label__icontains=text) | Q(address__icontains=text))
    if key_types:
        rows = rows.filter(key_type__in=key_types)
    if is_on_chain:
        rows = rows.exclude(actor_id=None)
    return [Choice(row.address, wallet_choice(row, viewer=viewer)) for row in rows[:limit]]


def sender_choices(viewer: Principal, text: str, limit: int) -> list[Choice]:
    """Return wallets from which the viewer's messages are signed, those with a name first."""
    rows = wallets_sending(viewer).filter(Q(label__icontains=text) | Q(address__icontains=text))
    unnamed = ExpressionWrapper(Q(label=""), output_field=BooleanField())
    rows = rows.alias(is_unnamed=unnamed).order_by("is_unnamed", "label", "created_at", "pk")
    return [Choice(row.address, wallet_choice(row, viewer=viewer)) for row in rows[:limit]]


def worker_choices(viewer: Principal, text: str, limit: int) -> list[Choice]:
    """Return wallets that the chain takes as workers."""
    return wallet_choices(viewer, text, limit, key_types=(KEY_BLS,))


def owner_choices(viewer: Principal, text: str, limit: int) -> list[Choice]:
    """Return wallets that may become the owner of a miner: the chain knows them."""
    return wallet_choices(viewer, text, limit, is_on_chain=True)


def next_worker_choices(viewer: Principal, text: str, limit: int) -> list[Choice]:
    """Return wallets that may become the worker of a miner that exists."""
    return wallet_choices(viewer, text, limit, key_types=(KEY_BLS,), is_on_chain=True)


def control_choices(viewer: Principal, text: str, limit: int) -> list[Choice]:
    """Return wallets that may become control addresses."""
    return wallet_choices(viewer, text, limit, key_types=(KEY_BLS, KEY_SECP256K1), is_on_chain=True)


def host_choices(viewer: Principal, text: str, limit: int, *, kinds: Collection[str] = ()) -> list[Choice]:
    """Return hosts by name, machine or uuid, those that do jobs of one of these kinds if any are named."""
    rows = hosts_called(hosts_known(viewer), text).select_related("tenant")
    rows = hosts_doing(rows, kinds) if kinds else rows
    return [Choice(str(row.uuid), host_label(row, viewer=viewer)) for row in rows[:limit]]


def host_label(host: Worker, *, viewer: Principal) -> str:
    """Return a host as people know it: `sealer-1 on box-1 (pool)`; an operator sees whose it is."""
    named = host.name
    if host.host not in ("", host.name):
        named = gettext("{name} on {machine}").format(name=host.name, machine=host.host)
    return f"{named} ({host.tenant.name})" if viewer.sees_pool else named


def sealing_host_choices(viewer: Principal, text: str, limit: int) -> list[Choice]:
    """Return hosts that seal."""
    return host_choices(viewer, text, limit, kinds=[str(kind) for kind in STAGED])


def machine_choices(viewer: Principal, text: str, limit: int) -> list[Choice]:
    """Return machines on which hosts run, by their name."""
    return [Choice(name, name) for name in machines_known(viewer, text, limit)]


def store_choices(viewer: Principal, text: str, limit: int) -> list[Choice]:
    """Return stores with their room, by name or uuid."""
    rows = stores_called(stores_known(viewer), text)[:limit]
    return [Choice(str(row.uuid), store_label(row)) for row in rows]


def store_label(store: Store) -> str:
    """Return a store as it is chosen: `hdd-1: 1.20 TiB free`."""
    if not store.is_bounded:
        return gettext("{one}: no size limit").format(one=store.name)
    free = " ".join(formatting.size(store.free_bytes))
    return gettext("{one}: {free_bytes} free").format(one=store.name, free_bytes=free)


SOURCES: Final[dict[str, Callable[[Principal, str, int], list[Choice]]]] = {
    "tenant": tenant_choices,
    "miner": miner_choices,
    "wallet": wallet_choices,
    "sender": sender_choices,
    "worker": worker_choices,
    "owner": owner_choices,
    "next-worker": next_worker_choices,
    "control": control_choices,
    "host": host_choices,
    "sealing-host": sealing_host_choices,
    "machine": machine_choices,
    "store": store_choices,
}


def suggested(viewer: Principal, kind: str, text: str, *, omit: str = "") -> list[Choice]:
    """Return what fits the text, at most `SUGGESTED`; raise KeyError for a kind that is none."""
    found = SOURCES[kind](viewer, text.strip()[:TEXT_MAX], SUGGESTED + 1)
    return [choice for choice in found if choice.value != omit][:SUGGESTED]


def chosen_label(viewer: Principal, kind: str, value: str) -> str:
    """Return how people know a value; empty where it is none of theirs."""
    if not value:
        return ""
    found = suggested(viewer, kind, value)
    return next((choice.label for choice in found if choice.value == value), "")


def picker(
    viewer: Principal, kind: str, *, value: str = "", omit: str = "", of: Miner | None = None
) -> Picker:
    """Return the field for a form that has this value already; with `of` for a miner of another tenant."""
    if of is not None:
        viewer = miner_principal(of)
    found = [choice for choice in SOURCES[kind](viewer, "", HANDFUL + 2) if choice.value != omit]
    is_searched = len(found) > HANDFUL
    label = chosen_label(viewer, kind, value) if is_searched else ""
    return Picker(kind, tuple(found[:HANDFUL]), is_searched, label, omit, "" if of is None else of.address)


def tenant_named(viewer: Principal, name: str) -> str:
    """Return the name if it is one of the tenants that the viewer may choose; else empty."""
    found = tenants_visible(viewer).filter(name=name, enabled=True)
    return name if name and found.exists() else ""


def tenant_picker(viewer: Principal, kind: str, *, tenant: str, value: str = "", omit: str = "") -> Picker:
    """Return the field for what one tenant has; nothing is suggested until the tenant was chosen."""
    if not tenant:
        return Picker(kind, (), is_searched=False, chosen="", omit="")
    return replace(picker(tenant_viewer(viewer, tenant), kind, value=value, omit=omit), tenant=tenant)


def tenant_viewer(viewer: Principal, name: str) -> Principal:
    """Return the principal that sees what this tenant has, and no more than the viewer does.

    Raises NotAllowed, TenantUnknown.
    """
    tenant = tenant_resolve(viewer, name=name)
    return replace(viewer, tenant_id=tenant.pk, tenant_name=tenant.name, is_operator=False)


def wallet_choice(wallet: Wallet, *, viewer: Principal) -> str:
    """Return a wallet as it is chosen: `worker f3wd…mlia, 50.0000 FIL`; an operator sees whose it is."""
    named = f"{wallet.label} {formatting.shortened(wallet.address)}".strip()
    whose = (wallet.tenant.name,) if viewer.is_operator else ()
    return list_text((named, f"{formatting.fil(wallet.balance)} FIL", *whose))
