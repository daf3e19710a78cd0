"""What a transfer of a miner moves, as facts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.core.local_time import minute_text
from apps.dashboard.cards import Fact
from apps.miners.services.transfer import TransferRequest
from apps.proving.services.transfer import TransferPlan

if TYPE_CHECKING:
    from apps.miners.models import MinerTransfer


def plan_facts(transfer_request: TransferRequest, plan: TransferPlan) -> tuple[Fact, ...]:
    """List what changes and what stays."""
    return tuple(_facts(transfer_request, plan))


def _facts(transfer_request: TransferRequest, plan: TransferPlan) -> Iterable[Fact]:
    from_tenant, to_tenant = transfer_request.miner.tenant.name, transfer_request.to_tenant.name
    yield Fact(
        _("Tenant"),
        gettext("from {from_tenant} to {to_tenant}; {from_tenant} no longer sees it").format(
            to_tenant=to_tenant, from_tenant=from_tenant
        ),
    )
    yield Fact(
        _("Moves with it"),
        gettext("{sectors}, {deadlines} with sectors, all settings").format(
            sectors=plural(plan.sectors, "sector"), deadlines=plural(plan.deadlines, "deadline")
        ),
    )
    yield Fact(
        _("Stays"),
        gettext("messages that {from_tenant} pushed, their costs, and the audit log").format(
            from_tenant=from_tenant
        ),
    )
    if plan.messages:
        yield Fact(
            _("In progress"),
            ngettext(
                "{count} message to it, which lands as {from_tenant}'s: leave its signer connected "
                "until then",
                "{count} messages to it, which land as {from_tenant}'s: leave its signer connected "
                "until then",
                plan.messages,
            ).format(count=plan.messages, from_tenant=from_tenant),
        )
    yield Fact(
        _("From now on"),
        gettext("{to_tenant} signs and pays for the miner's messages; its hosts prove and seal").format(
            to_tenant=to_tenant
        ),
    )
    shown = list_text(formatting.shortened(address) for address in plan.senders)
    yield Fact(
        _("Keys"),
        gettext(
            "{from_tenant} keeps access to {shown}: revoke it on the tenant's page if nothing else needs it"
        ).format(from_tenant=from_tenant, shown=shown),
    )
    if plan.tokens_revoked:
        yield Fact(
            _("Tokens revoked"),
            gettext("{tokens_revoked}: limited to this miner").format(
                tokens_revoked=list_text(plan.tokens_revoked)
            ),
        )
    if plan.tokens_kept:
        yield Fact(
            _("Tokens that lose access"),
            gettext("{tokens_kept}: still valid for other miners").format(
                tokens_kept=list_text(plan.tokens_kept)
            ),
        )


def transferred_text(last: MinerTransfer | None) -> str:
    """Return when a miner came to its tenant, and from whom, for the operator."""
    return (
        ""
        if last is None
        else gettext("Transferred from {from_tenant} on {at}.").format(
            from_tenant=last.from_tenant.name, at=minute_text(last.at)
        )
    )
