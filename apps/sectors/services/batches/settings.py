"""A miner's own settings: how its sectors are filled and paid for, and how they share messages."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from apps.core.errors import BadValue, NotAllowed
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.units import value_with_unit
from apps.miners.models import Miner
from apps.miners.services.porep import porep_set
from apps.sectors.models import BatchSettings
from apps.sectors.rules.policy import BATCH_FIELDS, FLAGS, range_problem
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.policy import Network


@transaction.atomic
def batch_settings_set(
    miner: Miner,
    *,
    values: dict[str, int | bool | None],
    by: Principal,
    porep: str = "",
    network: Network | None = None,
) -> BatchSettings:
    """Set what is named, None meaning as the pool has it; what is not named stays.

    With `porep` its new sectors are sealed by that rule of its network.
    Raises BadValue naming the field, NotAllowed.
    """
    if not by.may("sign"):
        raise NotAllowed(gettext("requires permission to sign for the miner's tenant"))
    for name, value in values.items():
        if name not in BATCH_FIELDS:
            raise BadValue(gettext("there is no such setting"), field=name)
        if name not in FLAGS and value is not None and (problem := range_problem(name, value)):
            raise BadValue(problem, field=name)
    if porep and network is not None:
        porep_set(miner, rule=porep, network=network, by=by)
    row, _ = BatchSettings.objects.select_for_update().get_or_create(miner=miner)
    before = {name: getattr(row, name) for name in values}
    changed = {name: value for name, value in values.items() if before[name] != value}
    if changed:
        for name, value in changed.items():
            setattr(row, name, value)
        row.save()
        audit_record(
            principal=by,
            action="miner.batches",
            target=str(miner),
            before=_shown({name: before[name] for name in changed}),
            after=_shown(changed),
        )
        publish(Change("miner", miner.pk, miner.tenant_id))
    return row


def _shown(values: dict[str, int | bool | None]) -> dict[str, Any]:
    """Return values as the audit log keeps them."""
    return {name: "pool" if value is None else value_with_unit(name, value) for name, value in values.items()}
