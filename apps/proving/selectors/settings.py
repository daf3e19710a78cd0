"""Reading the proving settings in force for a miner and for the pool."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable

from django.conf import settings
from django.db.models import F, Q

from apps.proving.models import ProvingSettings
from apps.proving.rules.policy import LIMITS, ProvingPolicy


def proving_policy(miner_id: int | None = None) -> ProvingPolicy:
    """Return what is in force for a miner; without one, for the pool."""
    rows = ProvingSettings.objects.filter(Q(miner=None) | Q(miner=miner_id))
    return _merged(rows.order_by(F("miner").asc(nulls_first=True)))


def recover_limits(miner_ids: Collection[int]) -> dict[int, int]:
    """Return for each miner how many faulty sectors of a deadline are declared recovered for one window."""
    rows = ProvingSettings.objects.filter(Q(miner=None) | Q(miner__in=miner_ids), recover_max__isnull=False)
    own: dict[int | None, int | None] = dict(rows.values_list("miner", "recover_max"))
    usual = own.get(None) or pool_policy_default().recover_max
    return {miner_id: own.get(miner_id) or usual for miner_id in miner_ids}


def pool_policy_default() -> ProvingPolicy:
    """Return what is in force where nobody has set anything."""
    return _merged(())


def proving_settings_own(miner_id: int | None) -> dict[str, int]:
    """Return what was set for a miner, or for the pool."""
    row = ProvingSettings.objects.filter(miner=miner_id).first()
    return {name: value for name in LIMITS if (value := getattr(row, name, None)) is not None}


def _merged(rows: Iterable[ProvingSettings]) -> ProvingPolicy:
    policy = dataclasses.replace(ProvingPolicy(), **getattr(settings, "PROVING", {}))
    for row in rows:
        own = {name: value for name in LIMITS if (value := getattr(row, name)) is not None}
        policy = dataclasses.replace(policy, **own)
    return policy
