"""How miners' libp2p doors are, as the process that serves them says."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from apps.market.models import MinerDoor
from apps.miners.models import Miner


@transaction.atomic
def door_report(miner: Miner, *, host: str, port: int, peer_id: str, reason: str, now: datetime) -> MinerDoor:
    """Note how a door is; empty reason: it answers.  A peer id stays known where a host lacks the key."""
    values = {"host": host, "port": port, "reason": reason, "said_at": now}
    if peer_id:
        values["peer_id"] = peer_id
    row, _ = MinerDoor.objects.update_or_create(miner=miner, defaults=values)
    return row
