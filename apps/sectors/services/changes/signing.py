"""Whether the signers of a change's miners would sign it: asked with its price, before anything is queued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.miners.selectors.senders import sender_choose
from apps.sectors.onchain.sectors import trial_message
from apps.sectors.services.changes.messages import METHODS, USES, batch_max_read, change_params_encode
from apps.sectors.services.changes.plans import ChangePlan
from apps.sectors.services.sealing.console_steps import sectors_group_by_miner
from apps.users.rules.principals import Principal
from apps.wallets.services.policies import signer_refusal_find
from poolsite.wire.pipeline.changes import ChangeKind

if TYPE_CHECKING:
    from apps.miners.models import Miner

METHOD_NAMES: Final = {
    ChangeKind.TERMINATE: "miner.TerminateSectors",
    ChangeKind.EXTEND: "miner.ExtendSectorExpiration2",
}
"""As a policy's rules name them."""


def change_sender_find(miner: Miner, *, kind: ChangeKind) -> str:
    """Return the address that would send a change of a miner's sectors now."""
    return sender_choose(miner, USES[kind]).address


def signers_refusal_find(plan: ChangePlan, *, by: Principal) -> str:
    """Return why a signer would not sign the messages of a plan; empty if each would.

    A signer that cannot be asked is named too: what is queued waits for it.
    """
    kind = plan.request.kind
    prices = {one.sector.pk: one for one in plan.accepted}
    for miner, sectors in sectors_group_by_miner([one.sector for one in plan.accepted]).items():
        chosen = [prices[sector.pk] for sector in sectors][: batch_max_read(miner, kind=kind)]
        sender = change_sender_find(miner, kind=kind)
        message = trial_message(
            to=miner.address,
            from_=sender,
            value=0,
            method=METHODS[kind],
            params=change_params_encode(kind, prices=chosen),
        )
        if refused := signer_refusal_find(by, address=sender, message=message, method=METHOD_NAMES[kind]):
            return refused
    return ""
