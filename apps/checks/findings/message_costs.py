"""Price messages that were not carried out by the sectors that go unproven, or do not begin to earn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from apps.checks.findings.windows import sectors_expected
from apps.checks.selectors.data import CheckData
from apps.messages.selectors.alike import VIEWS, MessageGroup
from apps.proving.models import Recovery, WindowPost
from apps.proving.states import PostState, RecoveryState
from poolsite.wire.pipeline import FINAL_STATES


@dataclass(frozen=True, slots=True)
class MessagesCost:
    """attoFIL a day."""

    faults: int = 0
    """Fault fees of the sectors that were to be proven; findings of windows and of faults have them too."""
    rewards: int = 0
    """Block rewards that sectors which wait for these messages do not earn."""

    @property
    def per_day(self) -> int:
        """Return both together."""
        return self.faults + self.rewards


def messages_cost(data: CheckData, kind: str, keys: Collection[str]) -> MessagesCost | None:
    """Return what messages of one kind cost while nothing else does what they were for.

    None where nobody knows: of other kinds, and until a node has told reward and power.
    """
    if data.reward is None or data.network is None or data.clock is None:
        return None
    if kind in ("precommit", "commit"):
        return MessagesCost(rewards=_rewards_waiting(data, f"{kind}_batch__message_id__in", keys))
    if kind == "window_post":
        return MessagesCost(faults=_fees_unproven(data, keys))
    return MessagesCost(faults=_fees_undeclared(data, keys)) if kind == "recover" else None


def groups_priced(
    data: CheckData, groups: Sequence[MessageGroup]
) -> list[tuple[MessageGroup, MessagesCost | None]]:
    """Return the groups with their cost, the most expensive first, then in the order of their views."""
    priced = [(group, messages_cost(data, group.newest.kind, group.ids)) for group in groups]
    return sorted(
        priced,
        key=lambda one: (
            -(one[1].per_day if one[1] is not None else 0),
            VIEWS.index(one[0].view),
            -one[0].count,
            one[0].key,
        ),
    )


def _rewards_waiting(data: CheckData, named: str, keys: Collection[str]) -> int:
    """Return the rewards of the sectors in these messages, each as one without data."""
    waiting = data.sectors.select_related(None).order_by().filter(active=False, **{named: keys})
    sizes: defaultdict[int, int] = defaultdict(int)
    for miner, size in waiting.exclude(state__in=FINAL_STATES).values_list("miner", "sector_size"):
        sizes[miner] += size
    return sum(data.reward_of_power(sizes[one.pk]) for one in data.miners if one.has_min_power)


def _fees_unproven(data: CheckData, keys: Collection[str]) -> int:
    """Return the fault fees of the windows whose proofs these messages are."""
    epoch = 0 if data.clock is None else data.clock.epoch
    period = 0 if data.network is None else data.network.proving_period
    miners = {miner.pk: miner for miner in data.miners}
    posts = WindowPost.objects.filter(miner__in=miners, close_epoch__gte=epoch - period, message_id__in=keys)
    posts = posts.exclude(state__in=[PostState.LANDED, PostState.NOTHING]).order_by()
    fees: dict[tuple[int, int], int] = {}
    for miner, index, close in posts.values_list("miner", "deadline_index", "close_epoch"):
        row = data.deadlines.get((miner, index))
        if row is not None:
            unproven = row.faulty if close <= epoch else sectors_expected(row) or row.faulty
            fees[miner, index] = data.fault_fee_per_day(miners[miner], unproven)
    return sum(fees.values())


def _fees_undeclared(data: CheckData, keys: Collection[str]) -> int:
    """Return the fault fees of good sectors that stay faulty without these declarations."""
    miners = {miner.pk: miner for miner in data.miners}
    rows = Recovery.objects.filter(miner__in=miners, message_id__in=keys)
    rows = rows.exclude(state__in=[RecoveryState.RECOVERED, RecoveryState.FAILED]).order_by()
    return sum(
        data.fault_fee_per_day(miners[miner], len(good)) for miner, good in rows.values_list("miner", "good")
    )
