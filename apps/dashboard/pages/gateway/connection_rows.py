"""One connection of the gateway as a row: its keys, what can be done with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.languages import list_text
from apps.dashboard.cards import Action
from apps.dashboard.page_data import PageData
from apps.gateway.selectors.connections import as_prover, as_signer
from apps.gateway.services.connection_test import ConnectionTestResult
from apps.gateway.states import Purpose
from poolsite.filecoin.address import id_address

if TYPE_CHECKING:
    from apps.gateway.models import ProverConnection, SignerConnection


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """One connection in the list."""

    row: SignerConnection | ProverConnection
    name: str
    kind: str
    serves: str
    actions: tuple[Action, ...]
    finding: ConnectionTestResult | None


def keys_text(row: SignerConnection, data: PageData) -> str:
    """Name the keys of a wallet, the first three of them."""
    names = [
        data.names.wallets.get(key.address) or formatting.shortened(key.address)
        for key in row.signer_keys.all()
    ]
    more = gettext(" and {names} more").format(names=len(names) - 3) if len(names) > 3 else ""
    return list_text(names[:3]) + more or gettext("no key")


def connection_actions(
    row: SignerConnection | ProverConnection, *, may_test: bool, may_end: bool
) -> list[Action]:
    """Return what can be done with a connection."""
    actions = []
    if may_test and as_signer(row):
        actions.append(
            Action("test", _("Test signature"), reverse("gateway-act", args=[row.pk, "test"]), "ok")
        )
    elif may_test and (prover := as_prover(row)) and prover.purpose == Purpose.PROOF:
        actions.append(Action("test", _("Test proof"), reverse("gateway-act", args=[row.pk, "test"]), "ok"))
    if may_end:
        there = reverse("gateway-act", args=[row.pk, "end"])
        actions.append(Action("end", _("Disconnect"), there, "off", kind="danger"))
    return actions


def connection_row(
    row: SignerConnection | ProverConnection, *, data: PageData, finding: ConnectionTestResult | None = None
) -> ConnectionRow:
    """Lay out one connection of `connections_open`."""
    name = kind = serves = ""
    if (signer := as_signer(row)) is not None:
        name, kind, serves = keys_text(signer, data), gettext("Signer"), list_text(signer.accounts)
    elif (prover := as_prover(row)) is not None:
        serves = str(id_address(prover.actor_id))
        name, kind = data.names.miners.get(serves, serves), str(prover.get_purpose_display())
    return ConnectionRow(
        row=row,
        name=name,
        kind=kind,
        serves=serves,
        actions=tuple(
            connection_actions(row, may_test=data.viewer.may("sign"), may_end=data.viewer.may("admin"))
        ),
        finding=finding,
    )
