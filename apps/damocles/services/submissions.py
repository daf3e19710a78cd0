"""How damocles-workers' submissions are answered, and what became of them.

The console sends the messages as for its own hosts, in batches and again where one fails: a worker hears that
its submission is under way until it has landed, also while somebody has to decide here.
"""

from __future__ import annotations

from apps.sectors.models import Sector
from poolsite.wire.damocles import OnChainState, SubmitResult
from poolsite.wire.pipeline import NEXT_STAGE, stage_rank

Submitted = tuple[SubmitResult, str]
OnChainStatus = tuple[OnChainState, str]


def is_before(sector: Sector, *, state: str) -> bool:
    """Return whether a sector has not come to a state yet."""
    return stage_rank(sector.stage) < stage_rank(NEXT_STAGE[state].stage)
