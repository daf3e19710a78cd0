"""Lines of the audit log about sectors and hosts; nothing is written where the pool acts by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from apps.core.units import values_with_units
from apps.miners.models import Miner
from apps.sectors.models import Sector, SharedSettings, Worker
from apps.sectors.selectors.hosts import worker_target
from apps.users.rules.principals import Principal
from apps.users.services.audit import AuditEvent, audit_entries_record, audit_record

NAMED_MAX: Final = 1_000
"""Sectors that one line names."""


def sector_audit(by: Principal | None, *, action: str, before: Sector, after: Sector, note: str = "") -> None:
    """Write down what somebody did to a sector."""
    if by is not None:
        fields = _state_fields(after)
        audit_record(
            principal=by,
            action=action,
            target=f"{after.miner} / {after.number}",
            before=_state_fields(before),
            after={**fields, "reason": note} if note else fields,
        )


def sectors_audit(
    by: Principal,
    *,
    action: str,
    sectors: Iterable[Sector],
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Write down what somebody does to several sectors at once: a line for each miner, with their numbers."""
    numbers: defaultdict[Miner, list[int]] = defaultdict(list)
    for sector in sorted(sectors, key=lambda one: one.number):
        numbers[sector.miner].append(sector.number)
    audit_entries_record(
        [
            AuditEvent(
                principal=by,
                action=action,
                target=str(miner),
                before=before,
                after={**(after or {}), "sectors": own[start : start + NAMED_MAX]},
            )
            for miner, own in numbers.items()
            for start in range(0, len(own), NAMED_MAX)
        ]
    )


def _state_fields(sector: Sector) -> dict[str, Any]:
    """Return where a sector is."""
    return {"state": sector.state, "paused": sector.paused_at is not None}


def settings_audit(by: Principal | None, *, row: SharedSettings, before: dict[str, int]) -> None:
    """Write down what somebody set for several hosts."""
    if by is not None:
        was, now = values_with_units(before), values_with_units(row.values)
        audit_record(principal=by, action="settings.change", target=str(row), before=was, after=now)


def worker_audit(
    by: Principal | None, *, action: str, worker: Worker, before: Any = None, after: Any = None
) -> None:
    """Write down what somebody did to a host."""
    if by is not None:
        audit_record(principal=by, action=action, target=worker_target(worker), before=before, after=after)


def store_audit(by: Principal, *, action: str, target: str, before: Any = None, after: Any = None) -> None:
    """Write down what somebody ordered for a store."""
    audit_record(principal=by, action=action, target=target, before=before, after=after)
