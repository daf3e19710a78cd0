"""What it costs to end proving sectors before their time, or to extend them: told before it is asked for.

Fees, expirations and power are reckoned by the chain's own rules at one head; gas is what the node
simulates.  What the chain would refuse is named here, sector by sector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.core.reasons import as_reason
from apps.miners.models import Miner
from apps.miners.states import MinerState
from apps.sectors.errors.changes import ChangeRefused
from apps.sectors.models import Sector, SectorChange
from apps.sectors.reasons import (
    EXITED_WITH,
    EXTENSION_UNDER_WAY,
    IS_TERMINATED,
    NO_SECTORS,
    NOT_PROVEN,
    SECTOR_OF,
    SNAP_UP_UNDER_WAY,
    TERMINATION_UNDER_WAY,
    WAS_ABORTED,
    WOULD_REFUSE_IT,
)
from apps.sectors.selectors.change_prices import ChangeRequest, SectorPrice, changes_price
from apps.sectors.services.changes.messages import change_approval_read, change_run, changes_count_fit
from apps.sectors.services.sealing.console_steps import sectors_group_by_miner
from apps.sectors.services.sealing.placements import unlanded_snap_ups_find
from poolsite.filecoin.policy import Network
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SectorState
from poolsite.wire.pipeline.changes import OPEN_CHANGES, ChangeKind


@dataclass(slots=True)
class ChangePlan:
    """What a change does to sectors, and its price."""

    request: ChangeRequest
    height: int
    sectors: list[SectorPrice] = field(default_factory=list)
    messages: int = 0
    gas_expected: int | None = 0
    """attoFIL, burnt and tip; None: no message could be simulated now."""
    gas_max: int | None = 0
    trial_error: str = ""
    """Why the node would refuse the message now."""
    approval: str = ""
    """The rule by which the messages would wait for a second person; empty: none."""
    debts: dict[str, int] = field(default_factory=dict)
    """attoFIL of the fee that remain as fee debt, by the address of the miner whose funds do not cover it."""

    @property
    def accepted(self) -> list[SectorPrice]:
        """Return the sectors for which it will be done."""
        return [one for one in self.sectors if not one.refusal]

    @property
    def refused(self) -> list[SectorPrice]:
        """Return the others."""
        return [one for one in self.sectors if one.refusal]

    @property
    def fee(self) -> int:
        """The chain's fee, attoFIL."""
        return sum(one.fee for one in self.accepted)

    @property
    def pledge(self) -> int:
        """Pledge that is released, attoFIL."""
        return sum(one.pledge for one in self.accepted)

    @property
    def burnt(self) -> int | None:
        """Return what is gone for good: the fee, and the gas as far as it is known."""
        return None if self.gas_expected is None else self.fee + self.gas_expected

    @property
    def daily_fee_change(self) -> int:
        """By how much the fee of each day changes, attoFIL."""
        return sum(
            one.after.daily_fee - one.live.daily_fee for one in self.accepted if one.after and one.live
        )

    @property
    def power_change(self) -> int:
        """By how much the quality-adjusted power changes, bytes."""
        if self.request.kind is ChangeKind.TERMINATE:
            return -sum(one.live.power for one in self.accepted if one.live is not None)
        return sum(one.after.power - one.live.power for one in self.accepted if one.after and one.live)

    @property
    def sends_at(self) -> int:
        """The last epoch at which one of the messages is sent."""
        return max((one.sends_at for one in self.accepted), default=self.height)


def changes_plan(
    sectors: Sequence[Sector], *, request: ChangeRequest, client: ChainClient, head: Head, network: Network
) -> ChangePlan:
    """Return what a change of these sectors does and costs; nothing is stored.

    Raises NodeRefused, NodeUnavailable, NetworkUnknown.
    """
    plan = ChangePlan(request, head.height)
    in_progress = dict(
        SectorChange.objects.filter(sector__in=sectors, state__in=OPEN_CHANGES).values_list("sector", "kind")
    )
    if request.kind is ChangeKind.TERMINATE:
        snapping = unlanded_snap_ups_find(sectors).values_list("sector", flat=True)
        in_progress |= dict.fromkeys(snapping, JobKind.SNAP_UP)
    for miner, group in sectors_group_by_miner(sectors).items():
        known = [one for one in group if one.state == SectorState.PROVING and one.pk not in in_progress]
        plan.sectors += [
            SectorPrice(sector=one, refusal=_state_refusal(one, in_progress.get(one.pk)))
            for one in group
            if one not in known
        ]
        if miner.state != MinerState.ACTIVE or not known:
            continue
        prices = changes_price(
            miner, sectors=known, request=request, client=client, head=head, network=network
        )
        plan.sectors += prices
        _debt_add(plan, miner, [one for one in prices if not one.refusal])
        _gas_add(plan, miner, [one for one in prices if not one.refusal], client=client, head=head)
    return plan


def _debt_add(plan: ChangePlan, miner: Miner, prices: Sequence[SectorPrice]) -> None:
    """Add what a miner's funds do not cover: it is paid from vesting rewards, balance and the freed pledge.

    Source: builtin-actors actors/miner/src/lib.rs process_early_terminations.
    """
    missing = sum(one.fee - one.pledge for one in prices) - int(miner.available) - int(miner.locked)
    if missing > 0:
        plan.debts[miner.address] = missing


def _state_refusal(sector: Sector, under_way: str | None) -> str:
    """Return why a sector cannot be changed by its state here."""
    if under_way == JobKind.SNAP_UP:
        return SNAP_UP_UNDER_WAY()
    if under_way is not None:
        if under_way == ChangeKind.TERMINATE:
            return TERMINATION_UNDER_WAY()
        return EXTENSION_UNDER_WAY()
    if sector.state == SectorState.TERMINATED:
        return IS_TERMINATED()
    if sector.state == SectorState.ABORTED:
        return WAS_ABORTED()
    return NOT_PROVEN()


def _gas_add(
    plan: ChangePlan, miner: Miner, prices: Sequence[SectorPrice], *, client: ChainClient, head: Head
) -> None:
    """Add the gas of one miner's messages: one of them is simulated, the others cost as much per sector."""
    if not prices:
        return
    most = changes_count_fit(miner, kind=plan.request.kind, prices=prices)
    plan.messages += -(-len(prices) // most)
    kind = plan.request.kind
    plan.approval = plan.approval or change_approval_read(miner, kind=kind, prices=prices[:most])
    now = [one for one in prices if one.sends_at <= head.height][:most]
    if not now or plan.gas_expected is None or plan.gas_max is None:
        plan.gas_expected = plan.gas_max = None
        return
    run = change_run(miner, kind=kind, prices=now, client=client, head=head)
    if run.exit_code:
        plan.trial_error = as_reason(run.error) or EXITED_WITH(exit_code=run.exit_code)
        plan.gas_expected = plan.gas_max = None
        return
    plan.gas_expected += run.cost_expected * len(prices) // len(now)
    plan.gas_max += run.cost_max * len(prices) // len(now)


def accepted_require(plan: ChangePlan) -> None:
    """Raise ChangeRefused if a change can be done for none of the sectors, or the chain would refuse it."""
    if plan.trial_error:
        why = WOULD_REFUSE_IT(error=as_reason(plan.trial_error))
    elif plan.accepted:
        return
    elif plan.sectors:
        one = plan.sectors[0]
        why = SECTOR_OF(number=one.sector.number, error=as_reason(one.refusal))
    else:
        why = NO_SECTORS()
    raise ChangeRefused(why, refused={one.sector.uuid: one.refusal or why for one in plan.sectors})
