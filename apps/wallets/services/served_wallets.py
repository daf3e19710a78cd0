"""A wallet for each key that a signer proved, and which wallets are served now."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import QuerySet

from apps.core.compiled import Compiled, Parameter
from apps.core.live import Change, publish
from apps.gateway.models import SignerKey
from apps.gateway.selectors.connections import ALIVE_S, signer_keys
from apps.users.rules.principals import SYSTEM
from apps.wallets.models import SERVED_S, Wallet
from apps.wallets.services.sign_requests import signature_type_choose
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.sigtypes import SIG_TYPE_NAMES


@transaction.atomic
def served_wallets_sync(*, now: datetime) -> None:
    """Create a row for each key that a signer proved, and note which are served now."""
    for key in UNKNOWN.rows():
        kind = SIG_TYPE_NAMES[signature_type_choose(address_parse(key.address))]
        wallet, _ = Wallet.objects.get_or_create(
            address=key.address,
            defaults={"tenant": key.tenant, "account": key.tenant.name, "key_type": kind},
        )
        publish(Change("wallet", wallet.pk, wallet.tenant_id))
    unsure = UNSURE.rows(alive=now - ALIVE_S, before=now - SERVED_S / 3)
    if unsure:
        Wallet.objects.filter(pk__in=[wallet.pk for wallet in unsure]).update(seen_at=now)
    for wallet in unsure:
        if wallet.seen_at is None or wallet.seen_at <= now - SERVED_S:
            publish(Change("wallet", wallet.pk, wallet.tenant_id))


def _keys_unknown() -> QuerySet[SignerKey]:
    """Return the keys that signers proved and no wallet has."""
    return signer_keys(SYSTEM).exclude(address__in=Wallet.objects.values("address"))


def _wallets_not_noted(alive: Parameter, before: Parameter) -> QuerySet[Wallet]:
    """Return the wallets of connected signers' keys that were not noted as served for a while."""
    served_keys = SignerKey.objects.filter(
        removed_at=None, connection__closed_at=None, connection__seen_at__gt=alive
    )
    rows = Wallet.objects.filter(address__in=served_keys.order_by().values("address"))
    return rows.exclude(seen_at__gt=before).only("tenant_id", "seen_at")


UNKNOWN: Final[Compiled[SignerKey]] = Compiled("signer_keys_unknown", _keys_unknown)
UNSURE: Final[Compiled[Wallet]] = Compiled(
    "wallets_unsure", _wallets_not_noted, alive="timestamptz", before="timestamptz"
)
