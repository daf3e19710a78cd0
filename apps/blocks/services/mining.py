"""Starting and stopping block production for a miner, as its people ask for it."""

from __future__ import annotations

from django.db import transaction

from apps.chain.selectors.heads import head_current
from apps.core.errors import Conflict, NotAllowed
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.miners.models import Miner
from apps.users.models import MinerGrant
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record


@transaction.atomic
def mining_set(miner: Miner, *, is_on: bool, principal: Principal) -> bool:
    """Make blocks for a miner from now on, or none; return whether that changed anything.

    None of a miner that moved in and has none says that nobody wants them: `miners_unstarted` goes by that.
    Raises NotAllowed, Conflict for a miner that is not on the chain yet, or that another program has.
    """
    if not principal.may("write"):
        raise NotAllowed(gettext("this requires the level 'write'"))
    if miner.actor_id is None:
        raise Conflict(gettext("the miner is not on chain yet"), field="miner")
    head = head_current()
    if is_on and head is not None and not miner.works_at(head.height + 1):
        raise Conflict(
            gettext(
                "another program makes its blocks at this height: if both did, the miner would be slashed"
            ),
            field="miner",
        )
    grant = (
        MinerGrant.objects.select_for_update()
        .filter(actor_id=miner.actor_id or 0, tenant_id=miner.tenant_id, deleted_at=None)
        .first()
    )
    if grant is None:
        raise Conflict(gettext("the miner is no longer granted to its tenant"), field="miner")
    was_on = grant.open_mining
    if was_on == is_on and (is_on or miner.works_from is None):
        return False
    grant.open_mining = is_on
    grant.save(update_fields=["open_mining", "updated_at"])
    audit_record(
        principal=principal,
        action="mining.start" if is_on else "mining.stop",
        target=miner.address,
        before={"open_mining": was_on},
        after={"open_mining": is_on},
    )
    publish(Change("rounds", str(miner.uuid), miner.tenant_id))
    return was_on != is_on
