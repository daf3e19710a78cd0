"""Setting the pace of checks and the sizes of declarations, for the pool or for one miner."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction

from apps.core.errors import BadValue, NotAllowed
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.units import values_with_units
from apps.miners.models import Miner
from apps.proving.models import ProvingSettings
from apps.proving.rules.policy import LIMITS
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record


def proving_settings_set(miner: Miner | None, *, values: Mapping[str, int | None], by: Principal) -> None:
    """Set what is named, None meaning as the level above has it; what is not named stays.

    Without a miner it is the pool's.  Raises BadValue naming the field, NotAllowed.
    """
    if not (by.may("sign") if miner else by.is_operator and by.may("admin")):
        raise NotAllowed(
            gettext("requires permission to sign for the miner's tenant")
            if miner
            else gettext("only the pool operator can change this")
        )
    for name, value in values.items():
        if name not in LIMITS:
            raise BadValue(gettext("there is no such setting"), field=name)
        least, most = LIMITS[name]
        if value is not None and not least <= value <= most:
            raise BadValue(
                gettext("must be from {least} to {most}").format(least=least, most=most), field=name
            )
    with transaction.atomic():
        row, _ = ProvingSettings.objects.select_for_update().get_or_create(miner=miner)
        before = {name: getattr(row, name) for name in values}
        changed = {name: value for name, value in values.items() if before[name] != value}
        if not changed:
            return
        for name, value in changed.items():
            setattr(row, name, value)
        row.save()
        audit_record(
            principal=by,
            action="miner.proving" if miner else "pool.proving",
            target=str(miner or "pool"),
            before=values_with_units({name: before[name] for name in changed}),
            after=values_with_units(changed),
        )
        if miner is not None:
            publish(Change("miner", miner.pk, miner.tenant_id))
