"""Naming a wallet."""

from __future__ import annotations

from typing import Final

from django.db import transaction

from apps.core.errors import BadValue, NotAllowed
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from apps.wallets.models import Wallet

LABEL_MAX: Final = Wallet._meta.get_field("label").max_length or 60
"""Longest name of a wallet."""


@transaction.atomic
def wallet_label_set(*, principal: Principal, wallet: Wallet, label: str) -> None:
    """Name a wallet: all tenants that hold it see the name.  Raises NotAllowed, BadValue."""
    if len(label) > LABEL_MAX or not label.isprintable():
        raise BadValue(
            gettext("must be at most {most} printable characters").format(most=LABEL_MAX), field="label"
        )
    if not principal.is_operator and wallet.tenant_id != principal.own_id:
        raise NotAllowed(
            gettext("this key is held by another tenant's signer: ask the pool's operator to name it"),
            field="label",
        )
    if label == wallet.label:
        return
    Wallet.objects.filter(pk=wallet.pk).update(label=label)
    audit_record(
        principal=principal,
        action="wallet.label",
        target=str(wallet.address),
        before={"label": wallet.label},
        after={"label": label},
    )
    publish(Change("wallet", wallet.pk, wallet.tenant_id))
