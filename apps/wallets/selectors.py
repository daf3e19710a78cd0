"""Reading wallets and what was signed."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Final
from uuid import UUID

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from apps.core import clock
from apps.core.addresses import address_typed
from apps.core.errors import NotFound
from apps.core.filters import TEXT_MAX, Choices, DayFilters, ListFilters, Words
from apps.core.marked_texts import gettext
from apps.gateway.models import SignerKey
from apps.users.models import SignerGrant
from apps.users.rules.principals import Principal
from apps.users.selectors.grants import signer_granted
from apps.wallets.models import SERVED_S, RemoteWallet, SignRecord, Wallet
from poolsite.filecoin.address import ID, BadAddress, address_parse

MESSAGER: Final = "messager"
"""Who asks for a signature of the pool's own messages; other programs ask by the interfaces' names."""
PROGRAM_SIGNED: Final = timedelta(days=1)
"""How long a message that another program had signed here may be on its way to the chain."""


def wallets_visible(viewer: Principal) -> QuerySet[Wallet]:
    """Return the wallets that this caller may know of: its own and those granted to it.

    A token for signers sees those of them, one for miners alone none.
    """
    keys = SignerKey.objects.filter(
        address=OuterRef("address"), removed_at=None, connection__closed_at=None, connection__isnull=False
    )
    seen = Subquery(keys.order_by("-connection__seen_at").values("connection__seen_at")[:1])
    rows = Wallet.objects.select_related("tenant").annotate(signer_seen_at=seen).order_by("created_at", "pk")
    if viewer.is_partial:
        rows = rows.filter(address__in=viewer.signers)
    if viewer.is_operator:
        return rows
    granted = SignerGrant.objects.filter(tenant_id=viewer.own_id, deleted_at=None)
    return rows.filter(address__in=granted.values("address"))


def wallets_sending(viewer: Principal) -> QuerySet[Wallet]:
    """Return the wallets that sign for messages that this caller pushes: those granted to its tenant."""
    granted = SignerGrant.objects.filter(tenant_id=viewer.own_id, deleted_at=None)
    return wallets_visible(viewer).filter(address__in=granted.values("address"))


def wallets_named(viewer: Principal) -> QuerySet[Wallet]:
    """Return the viewer's wallets with the labels that their keys have at their signers."""
    named = SignerKey.objects.filter(address=OuterRef("address"), tenant=OuterRef("tenant"), removed_at=None)
    label = Coalesce(Subquery(named.values("label")), Value(""))  # a tenant has one row of each key
    facts = {"signer_label": label}
    return wallets_visible(viewer).annotate(**facts)


def remote_wallets(viewer: Principal) -> QuerySet[RemoteWallet]:
    """Return the wallets that the pool connects to, of the tenants that the viewer sees.

    A token for some miners or signers sees none.
    """
    rows = RemoteWallet.objects.select_related("tenant")
    if viewer.is_partial:
        return rows.none()
    return rows if viewer.is_operator else rows.filter(tenant=viewer.own_id)


def remote_wallet_get(viewer: Principal, uuid: UUID, *, for_update: bool = False) -> RemoteWallet:
    """Return one remote wallet.  Raises NotFound, also for another tenant's."""
    rows = remote_wallets(viewer).filter(uuid=uuid)
    row = (rows.select_for_update(of=("self",)) if for_update else rows).first()
    if row is None:
        raise NotFound(gettext("there is no remote wallet {uuid}").format(uuid=uuid))
    return row


def remote_wallet_keys(rows: Iterable[RemoteWallet]) -> dict[int, list[str]]:
    """Return the keys that sign for the pool, by the key of their remote wallet's row."""
    by_connection = {row.connection: row.pk for row in rows if row.connection is not None}
    keys = SignerKey.objects.filter(connection__in=by_connection, connection__closed_at=None, removed_at=None)
    found: dict[int, list[str]] = {}
    for connection, address in keys.order_by("address").values_list("connection", "address"):
        found.setdefault(by_connection[connection], []).append(address)
    return found


def wallet_labels(viewer: Principal) -> dict[str, str]:
    """Return the labels of the viewer's wallets that have one, by address."""
    return dict(wallets_visible(viewer).exclude(label="").order_by().values_list("address", "label"))


def wallets_by_balance(viewer: Principal) -> QuerySet[Wallet]:
    """Return the viewer's wallets, the lowest balance first, before it one that was not read yet."""
    return wallets_named(viewer).order_by(F("balance").asc(nulls_first=True), "pk")


def served_since(now: datetime) -> Q:
    """Return the condition of wallets of `wallets_visible` with a signer that is connected."""
    return Q(seen_at__gt=now - SERVED_S) | Q(signer_seen_at__gt=now - SERVED_S)


def wallets_by_state(viewer: Principal, *, now: datetime) -> dict[str, int]:
    """Count the viewer's wallets: all under an empty key, and those with a signer or without."""
    rows = wallets_visible(viewer).order_by()
    counts = rows.aggregate(all=Count("pk"), online=Count("pk", filter=served_since(now)))
    return {
        "": counts["all"],
        "online": counts["online"],
        "offline": counts["all"] - counts["online"],
    }


class WalletFilters(ListFilters):
    """Filters of wallets."""

    state = Choices(("online", "offline"), method="in_states", about="whether a signer is connected")
    kind = Words(field_name="key_type", about="secp256k1, bls or delegated")
    tenant = Words(field_name="tenant__name", about="name of the tenant whose signer brought it first")
    q = Words(label=_("Name or address"), method="called", about="part of a name or of the address")

    def in_states(self, rows: QuerySet[Wallet], _name: str, value: list[str]) -> QuerySet[Wallet]:
        """Narrow to wallets with a signer, or without one."""
        served = served_since(clock.now() if self.page is None else self.page.at)
        wanted = [served if word == "online" else ~served for word in set(value)]
        return rows.filter(reduce(or_, wanted))

    def called(self, rows: QuerySet[Wallet], _name: str, value: str) -> QuerySet[Wallet]:
        """Find by a part of the name here or at the signer, or by the address, its f0 form too."""
        text = value[:TEXT_MAX]
        found = Q(label__icontains=text) | Q(signer_label__icontains=text) | Q(address__icontains=text)
        with suppress(BadAddress):
            found |= Q(address=wallet_address(address_typed(text)))
        return rows.filter(found)


def wallet_get(viewer: Principal, address: str) -> Wallet:
    """Find one wallet.  Raises NotFound, for a stranger's too."""
    try:
        key = str(address_parse(address))
    except BadAddress as error:
        raise NotFound(str(error)) from None
    wallet = wallets_named(viewer).filter(address=key).first()
    if wallet is None:
        raise NotFound(gettext("there is no wallet {address}").format(address=address))
    return wallet


def wallet_address(address: str) -> str:
    """Return the key behind the f0 address of a wallet; any other address as it is."""
    parsed = address_parse(address)
    if parsed.protocol != ID:
        return address
    row = Wallet.objects.filter(actor_id=parsed.actor_id).first()
    return address if row is None else str(row.address)


def sender_allowed(tenant_id: int | None, address: str) -> bool:
    """Return whether a tenant may send from this address; None asks for the pool itself: any known wallet."""
    if tenant_id is None:
        return Wallet.objects.filter(address=address).exists() or (
            SignerGrant.objects.filter(address=address, deleted_at=None).exists()
        )
    return signer_granted(tenant_id=tenant_id, address=address)


def balances_of(addresses: Iterable[str]) -> dict[str, int | None]:
    """Return the balances of those of these addresses that are wallets; None where none was read yet."""
    return dict(Wallet.objects.filter(address__in=set(addresses)).values_list("address", "balance"))


def senders_granted(tenant_ids: Iterable[int], addresses: Iterable[str]) -> set[tuple[int, str]]:
    """Return which of these tenants may send from which of these addresses, as pairs."""
    rows = SignerGrant.objects.filter(
        tenant_id__in=set(tenant_ids), address__in=set(addresses), deleted_at=None
    )
    return set(rows.values_list("tenant_id", "address"))


def sign_records(viewer: Principal) -> QuerySet[SignRecord]:
    """Return what was signed or refused, newest first; to a token for some signers, what was of these.

    A token for miners reads none: a record says in words which miner it was for.
    """
    rows = SignRecord.objects.select_related("tenant").order_by("-at", "-pk")
    if viewer.miners:
        return rows.none()
    if viewer.signers:
        rows = rows.filter(address__in=viewer.signers)
    return rows if viewer.is_operator else rows.filter(tenant_id=viewer.own_id)


class SignRecordFilters(DayFilters):
    """Filters of sign records."""

    time_field = "at"
    state = Choices(("signed", "refused"), method="in_states", about="whether it was signed")
    wallet = Words(label=_("Wallet"), method="of_wallet", about="name or address of the key")
    tenant = Words(field_name="tenant__name", about="name of the tenant for whom it was asked")

    def in_states(self, rows: QuerySet[SignRecord], _name: str, value: list[str]) -> QuerySet[SignRecord]:
        """Narrow to what was signed, or refused."""
        signed = Q(error="")
        return rows.filter(reduce(or_, [signed if word == "signed" else ~signed for word in value]))

    def of_wallet(self, rows: QuerySet[SignRecord], _name: str, value: str) -> QuerySet[SignRecord]:
        """Find by the address of the key, its f0 form too, or by the name of the wallet."""
        with suppress(BadAddress):
            return rows.filter(address=wallet_address(address_typed(value[:TEXT_MAX])))
        named = wallets_visible(self.viewer).filter(label__iexact=value).values("address")
        return rows.filter(address__in=named)


def sign_records_before(rows: QuerySet[SignRecord], at: datetime, pk: int) -> QuerySet[SignRecord]:
    """Return those of `sign_records` that stand below one of them."""
    return rows.filter(Q(at__lt=at) | Q(at=at, pk__lt=pk), at__lte=at)  # the last condition bounds the index


def is_signed_for_program(cid: str, *, now: datetime) -> bool:
    """Return whether a signer signed this message, lately and for another program than the messager."""
    rows = SignRecord.objects.filter(at__gt=now - PROGRAM_SIGNED, cid=cid, error="")
    return rows.exclude(asked_by=MESSAGER).exists()
