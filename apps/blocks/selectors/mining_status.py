"""Reading whether a miner takes part in the election, why not, and when it may expect to win."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from apps.blocks.models import Round
from apps.blocks.selectors.luck import epochs_to_win
from apps.blocks.selectors.miners_without_rounds import miners_unbegun, undrawn_epochs
from apps.blocks.selectors.mining_miners import miners_on
from apps.blocks.selectors.rounds import LatestRound, rounds_of
from apps.blocks.states import NotDrawn, WhyNot
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.status import network_known
from apps.miners.models import Miner, RewardEstimate
from apps.miners.selectors.miners import reward_estimate
from apps.miners.states import MinerState
from poolsite.filecoin.election import BLOCKS_PER_EPOCH


@dataclass(frozen=True, slots=True)
class MiningStatus:
    """Whether a miner takes part in the election now, and when it may expect to win."""

    is_on: bool
    why_not: str
    """Of `NotDrawn`; empty while its rounds are drawn."""
    expected: float
    """Wins an epoch."""
    to_win_s: float | None
    """Mean time to the next win; None while none is to be expected."""

    @property
    def reason(self) -> str:
        """Return why not, in words."""
        return str(NotDrawn(self.why_not).label) if self.why_not else ""


def mining_status_of(
    miner: Miner,
    *,
    is_on: bool,
    latest: Round | LatestRound | None,
    is_unbegun: bool,
    reward: RewardEstimate | None,
    epoch_s: float,
    height: int | None,
) -> MiningStatus:
    """Return how a miner stands, by its newest round; without one by the chain's estimate of power."""
    expected = 0.0
    if miner.has_min_power and latest is not None and latest.expected:
        expected = latest.expected
    elif miner.has_min_power and reward is not None and reward.power.value:
        expected = BLOCKS_PER_EPOCH * miner.qa_power / reward.power.value
    is_drawn_here = height is None or miner.works_at(height)
    why = _why_not(miner, is_on=is_on, is_drawn_here=is_drawn_here, latest=latest, is_unbegun=is_unbegun)
    mean = None if why else epochs_to_win(expected)
    return MiningStatus(is_on, why, expected, None if mean is None else mean * epoch_s)


def _why_not(
    miner: Miner,
    *,
    is_on: bool,
    is_drawn_here: bool,
    latest: Round | LatestRound | None,
    is_unbegun: bool,
) -> str:
    found = (
        (miner.actor_id is None or miner.state != MinerState.ACTIVE, NotDrawn.NOT_ACTIVE),
        (not is_drawn_here, NotDrawn.ELSEWHERE),
        (not is_on, NotDrawn.MINING_OFF),
        (not miner.qa_power, NotDrawn.NO_POWER),
        (not miner.has_min_power, NotDrawn.BELOW_MINIMUM),
        (is_unbegun, NotDrawn.NOT_BEGUN),
        (latest is not None and latest.why_not == WhyNot.BARRED, NotDrawn.BARRED),
        (latest is not None and latest.why_not == WhyNot.NO_POWER, NotDrawn.POWER_TOO_NEW),
    )
    return next((str(why) for holds, why in found if holds), "")


def mining_status(miner: Miner, *, now: datetime) -> MiningStatus:
    """Return how one miner stands."""
    head, network = head_current(), network_known()
    since = None if head is None or network is None else head.height - undrawn_epochs(network.epoch_s)
    return mining_status_of(
        miner,
        is_on=bool(miners_on([miner])),
        latest=rounds_of(miner).first(),
        is_unbegun=since is not None and bool(miners_unbegun([miner], since_epoch=since, now=now)),
        reward=reward_estimate(),
        epoch_s=30.0 if network is None else network.epoch_s,
        height=None if head is None else head.height,
    )
