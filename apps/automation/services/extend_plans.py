"""What a rule that extends sectors would do now: which sectors, how far, at what price; nothing is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from apps.automation.models import AutoRule
from apps.automation.reasons import GAS_HIGH, GAS_UNKNOWN, NOTHING_DUE, SECTORS_LIMIT
from apps.automation.rules.extend_specs import ExtendSpec, extend_spec_read
from apps.automation.selectors.auto_rules import day_acts
from apps.automation.states import SectorData
from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.selectors.network import network_current
from apps.core.clock import DAY_S
from apps.core.reasons import as_reason, counted
from apps.miners.selectors.miners import miners_of_addresses
from apps.sectors.models import Sector, SectorChange
from apps.sectors.reasons import SECTOR_OF, WOULD_REFUSE_IT
from apps.sectors.selectors.change_prices import ChangeRequest, SectorPrice
from apps.sectors.services.changes.plans import ChangePlan, changes_plan
from apps.sectors.services.changes.signing import signers_refusal_find
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.amounts import fil_format
from poolsite.wire.pipeline import SectorState
from poolsite.wire.pipeline.changes import OPEN_CHANGES, ChangeKind, ChangeState

AT_ONCE_MAX: Final = 500
"""Sectors that a rule extends at one head; the next follow with its next look."""
LEAST_PART: Final = 10
"""A sector is extended if that gives it at least this part of the days within which sectors end."""
FAILED_REST: Final = timedelta(days=1)
"""A sector whose extension failed is left alone for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendPlan:
    """What a rule would do at this head."""

    number: int
    """Number of the act that would follow."""
    spent: int = 0
    """Sectors that it has extended today."""
    plan: ChangePlan | None = None
    """The extensions to be written; None if no sector is due."""
    why: str = ""
    """The reason why no sector is extended; else empty."""
    is_hindered: bool = False
    """Whether `why` needs a person."""


def extend_plan(rule: AutoRule, *, client: ChainClient, head: Head, now: datetime) -> ExtendPlan:
    """Return which sectors a rule would extend at this head, whether it is on or off.

    Raises NodeUnavailable, NodeRefused, NetworkUnknown.
    """
    spec, network = extend_spec_read(rule.settings), network_current()
    spent = sum(act.sectors for act in day_acts(rule, now=now))
    number, left = rule.acts_begun, spec.day_sectors - spent
    day = DAY_S // network.epoch_s
    due = _due(rule, spec, height=head.height, day=day, now=now)
    if not due:
        return ExtendPlan(number=number, spent=spent, why=NOTHING_DUE())
    if left <= 0:
        why = SECTORS_LIMIT(sectors=counted(spent, "sector"))
        return ExtendPlan(number=number, spent=spent, why=why, is_hindered=True)
    request = ChangeRequest(
        kind=ChangeKind.EXTEND,
        expiration=-(-(head.height + spec.to_days * day) // day) * day if spec.to_days else None,
        reason=_reason(rule),
    )
    plan = changes_plan(due, request=request, client=client, head=head, network=network)
    fitting = [one.sector for one in plan.accepted if _is_for(one, spec, day=day)][:left]
    if not fitting:
        return ExtendPlan(number=number, spent=spent, why=_refusal(plan))
    if len(fitting) < len(plan.sectors):
        plan = changes_plan(fitting, request=request, client=client, head=head, network=network)
    hindrance = _hindrance(plan, spec)
    return ExtendPlan(number=number, spent=spent, plan=plan, why=hindrance, is_hindered=bool(hindrance))


def _reason(rule: AutoRule) -> str:
    """Return the reason that a rule's changes of sectors have."""
    return f"automatic rule {rule.uuid}"


def _due(rule: AutoRule, spec: ExtendSpec, *, height: int, day: int, now: datetime) -> list[Sector]:
    """Return the sectors that a rule names, those first that end first."""
    rows = Sector.objects.filter(
        miner__tenant=rule.tenant_id,
        state=SectorState.PROVING,
        expiration__gt=height,
        expiration__lte=height + spec.remaining_days * day,
    )
    if spec.miner:
        miner = miners_of_addresses([spec.miner]).get(spec.miner)
        rows = rows.filter(miner=None if miner is None else miner.pk)
    if spec.size:
        rows = rows.filter(sector_size=spec.size)
    if spec.age_days:
        rows = rows.filter(activation__lte=height - spec.age_days * day)
    own = SectorChange.objects.filter(reason=_reason(rule))
    failed = own.filter(state=ChangeState.EXTEND_FAILED, updated_at__gte=now - FAILED_REST)
    cancelled = own.filter(state=ChangeState.EXTEND_CANCELLED)
    for left in (SectorChange.objects.filter(state__in=OPEN_CHANGES), failed, cancelled):
        rows = rows.exclude(pk__in=left.values("sector"))
    excluded = spec.excluded_numbers
    found = rows.select_related("miner__tenant").order_by("expiration", "pk")[: AT_ONCE_MAX + len(excluded)]
    return [row for row in found if (row.miner.actor_id, row.number) not in excluded][:AT_ONCE_MAX]


def _is_for(price: SectorPrice, spec: ExtendSpec, *, day: int) -> bool:
    """Return whether a sector holds what a rule is for, and would live longer by a good part.

    The latest epoch that the chain takes grows with each head: without a least gain a sector would be
    extended again and again.
    """
    if price.live is None or price.after is None:
        return False
    if price.after.expiration - price.live.expiration < max(spec.remaining_days * day // LEAST_PART, day):
        return False
    return spec.data == SectorData.ANY or (price.live.verified_weight > 0) == (
        spec.data == SectorData.VERIFIED
    )


def _refusal(plan: ChangePlan) -> str:
    """Return why none of the sectors that end soon is extended."""
    if not plan.refused:
        return NOTHING_DUE()
    one = plan.refused[0]
    return SECTOR_OF(number=one.sector.number, error=as_reason(one.refusal))


def _hindrance(plan: ChangePlan, spec: ExtendSpec) -> str:
    """Return why sectors that are due are not extended; empty if they are, or none is."""
    if plan.trial_error:
        return WOULD_REFUSE_IT(error=as_reason(plan.trial_error))
    if not plan.accepted:
        return _refusal(plan)
    if plan.gas_expected is None:
        return GAS_UNKNOWN()
    gas = plan.gas_expected // len(plan.accepted)
    if spec.gas_max and gas > spec.gas_max:
        return GAS_HIGH(gas=fil_format(gas), most=fil_format(spec.gas_max))
    return as_reason(signers_refusal_find(plan, by=SYSTEM))
