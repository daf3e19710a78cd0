"""What it costs to end proving sectors before their time, or to extend them: told before it is asked for.

Fees, expirations and power are reckoned by the chain's own rules at one head; gas is what the node
simulates.  What the chain would refuse is named here, sector by sector.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext

from apps.chain.errors import NetworkUnknown
from apps.messages.services.dry_run import message_dry_run
from apps.messages.services.validate import PushItem
from apps.miners.selectors import miner_principal, reward_estimate, sender_choose
from apps.miners.states import MinerState, Use
from apps.sectors.errors import ChangeRefused
from apps.sectors.live_sectors import (
    Windows,
    claims_read,
    extend_params,
    extended,
    live_sectors_read,
    longest,
    terminate_params,
)
from apps.sectors.models import SectorChange
from apps.sectors.onchain import circulating_read
from apps.sectors.selectors.sectors import batch_policy
from apps.sectors.services.sealing.advance import by_miner
from apps.sectors.states import BatchKind
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.expiration import BadExpiration
from poolsite.wire.pipeline import SectorState
from poolsite.wire.pipeline.changes import OPEN_CHANGES, ChangeKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.chain.client import ChainClient
    from apps.chain.models import Head
    from apps.messages.services.dry_run import DryRun
    from apps.miners.models import Miner
    from apps.sectors.live_sectors import Extended, LiveSector
    from apps.sectors.models import Sector
    from poolsite.filecoin.policy import Network

METHODS: Final = {
    ChangeKind.TERMINATE: Method.TERMINATE_SECTORS,
    ChangeKind.EXTEND: Method.EXTEND_SECTOR_EXPIRATION2,
}
USES: Final = {ChangeKind.TERMINATE: Use.TERMINATE, ChangeKind.EXTEND: Use.EXTEND}
"""Which of a miner's addresses send it."""
MESSAGE_KINDS: Final = {
    ChangeKind.TERMINATE: BatchKind.TERMINATE,
    ChangeKind.EXTEND: BatchKind.EXTEND,
}
LANDING_MARGIN: Final = 3
"""Epochs that are left for a termination to land before its deadline takes no changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRequest:
    """What is to become of some sectors."""

    kind: ChangeKind
    expiration: int | None = None
    """Of an extension: the epoch; None: each as long as the chain takes with all its claims."""
    drops_claims: bool = False
    """Of an extension: give up claims that cannot last as long."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SectorPrice:
    """What a change does to one sector; with a refusal nothing of it will be done."""

    sector: Sector
    refusal: str = ""
    fee: int = 0
    """attoFIL that the chain takes for its end."""
    pledge: int = 0
    """attoFIL that are free again once it has ended."""
    sends_at: int = 0
    """The first epoch at which its message may go."""
    live: LiveSector | None = None
    after: Extended | None = None
    """Of an extension."""


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
        """What is gone for good: the fee, and the gas as far as it is known."""
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
    sectors: Sequence[Sector], request: ChangeRequest, *, client: ChainClient, head: Head, network: Network
) -> ChangePlan:
    """Return what a change of these sectors does and costs; nothing is stored.

    Raises NodeRefused, NodeUnavailable, NetworkUnknown.
    """
    plan = ChangePlan(request, head.height)
    under_way = dict(
        SectorChange.objects.filter(sector__in=sectors, state__in=OPEN_CHANGES).values_list("sector", "kind")
    )
    for miner, theirs in by_miner(sectors).items():
        known = [one for one in theirs if one.state == SectorState.PROVING and one.pk not in under_way]
        plan.sectors += [
            SectorPrice(sector=one, refusal=_state_refusal(one, under_way.get(one.pk)))
            for one in theirs
            if one not in known
        ]
        if miner.state != MinerState.ACTIVE or not known:
            continue
        prices = changes_priced(miner, known, request=request, client=client, head=head, network=network)
        plan.sectors += prices
        _gas_add(plan, miner, [one for one in prices if not one.refusal], client=client, head=head)
    return plan


def changes_priced(
    miner: Miner,
    sectors: Sequence[Sector],
    *,
    request: ChangeRequest,
    client: ChainClient,
    head: Head,
    network: Network,
) -> list[SectorPrice]:
    """Return what a change does to each of a miner's sectors, in order, as the chain has them."""
    if request.kind is ChangeKind.TERMINATE:
        return _terminations(miner, sectors, client=client, head=head)
    return _extensions(miner, sectors, request, client=client, head=head, network=network)


def _state_refusal(sector: Sector, under_way: str | None) -> str:
    """Return why a sector cannot be changed by its state here."""
    if under_way is not None:
        word = "termination" if under_way == ChangeKind.TERMINATE else "extension"
        return gettext("its {word} is already in progress").format(word=word)
    if sector.state == SectorState.TERMINATED:
        return gettext("it is already terminated")
    if sector.state == SectorState.ABORTED:
        return gettext("it was aborted")
    return gettext("it is not proven yet: wait for its commit, or abort it")


GONE: Final = "it has already ended on chain"


def _terminations(
    miner: Miner, sectors: Sequence[Sector], *, client: ChainClient, head: Head
) -> list[SectorPrice]:
    reward = reward_estimate()
    if reward is None:
        raise NetworkUnknown(
            gettext(
                "the fee cannot be estimated: no node returned the network's reward estimate; try again later"
            )
        )
    live = _live(miner, sectors, client=client, head=head)
    windows = Windows.read(client, miner.address, key=head.key, height=head.height)
    return [
        SectorPrice(sector=one, refusal=GONE)
        if (there := live.get(one.number)) is None
        else SectorPrice(
            sector=one,
            live=there,
            fee=there.fee(reward, height=head.height),
            pledge=there.pledge,
            sends_at=windows.opens_at(there.deadline, margin=LANDING_MARGIN),
        )
        for one in sectors
    ]


def _extensions(
    miner: Miner,
    sectors: Sequence[Sector],
    request: ChangeRequest,
    *,
    client: ChainClient,
    head: Head,
    network: Network,
) -> list[SectorPrice]:
    live = _live(miner, sectors, client=client, head=head)
    has_claims = any(there.verified_weight for there in live.values())
    claims = claims_read(client, miner.address, key=head.key) if has_claims else {}
    circulating = circulating_read(client, key=head.key)
    found = []
    for one in sectors:
        there = live.get(one.number)
        if there is None:
            found.append(SectorPrice(sector=one, refusal=GONE))
            continue
        mine = claims.get(one.number, ()) if there.verified_weight else ()
        wanted = request.expiration
        if wanted is None:
            wanted = longest(there, claims=mine, now=head.height, network=network)
        try:
            after = extended(
                there,
                wanted,
                claims=mine,
                drops=request.drops_claims,
                now=head.height,
                circulating=circulating,
                network=network,
            )
        except BadExpiration as refusal:
            found.append(SectorPrice(sector=one, live=there, refusal=str(refusal)))
        else:
            found.append(SectorPrice(sector=one, live=there, after=after, sends_at=head.height))
    return found


def _live(
    miner: Miner, sectors: Sequence[Sector], *, client: ChainClient, head: Head
) -> dict[int, LiveSector]:
    numbers = [one.number for one in sectors]
    return live_sectors_read(client, miner.address, numbers, size=miner.sector_size, key=head.key)


def batch_max(miner: Miner, kind: str) -> int:
    """Return the most sectors of one message of a miner."""
    policy = batch_policy(miner)
    return policy.terminate_batch_max if kind == ChangeKind.TERMINATE else policy.extend_batch_max


def change_params(kind: str, prices: Sequence[SectorPrice]) -> bytes:
    """Return the parameters of the message that changes these sectors."""
    if kind == ChangeKind.TERMINATE:
        return terminate_params(one.live for one in prices if one.live is not None)
    return extend_params(one.after for one in prices if one.after is not None)


def _gas_add(
    plan: ChangePlan, miner: Miner, prices: Sequence[SectorPrice], *, client: ChainClient, head: Head
) -> None:
    """Add the gas of one miner's messages: one of them is simulated, the others cost as much per sector."""
    if not prices:
        return
    most = batch_max(miner, plan.request.kind)
    plan.messages += -(-len(prices) // most)
    now = [one for one in prices if one.sends_at <= head.height][:most]
    if not now or plan.gas_expected is None or plan.gas_max is None:
        plan.gas_expected = plan.gas_max = None
        return
    run = change_run(miner, plan.request.kind, prices=now, client=client, head=head)
    if run.exit_code:
        plan.trial_error = run.error or gettext("exit code {exit_code}").format(exit_code=run.exit_code)
        plan.gas_expected = plan.gas_max = None
        return
    plan.gas_expected += run.cost_expected * len(prices) // len(now)
    plan.gas_max += run.cost_max * len(prices) // len(now)


def change_run(
    miner: Miner, kind: ChangeKind, *, prices: Sequence[SectorPrice], client: ChainClient, head: Head
) -> DryRun:
    """Run the message that changes these sectors, without sending it."""
    item = PushItem(
        id=f"{kind}-price:{uuid.uuid4()}",
        to=miner.address,
        from_=sender_choose(miner, USES[kind]).address,
        method=METHODS[kind],
        params=change_params(kind, prices),
        kind=MESSAGE_KINDS[kind],
    )
    return message_dry_run(item, principal=miner_principal(miner), client=client, head=head)


def accepted_required(plan: ChangePlan) -> None:
    """Raise ChangeRefused if a change can be done for none of the sectors, or the chain would refuse it."""
    if plan.trial_error:
        why = gettext("the chain would refuse it: {error}").format(error=plan.trial_error)
    elif plan.accepted:
        return
    elif plan.sectors:
        one = plan.sectors[0]
        why = gettext("sector {number}: {refusal}").format(number=one.sector.number, refusal=one.refusal)
    else:
        why = gettext("no sectors were given")
    raise ChangeRefused(why, refused={one.sector.uuid: one.refusal or why for one in plan.sectors})
