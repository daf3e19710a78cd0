"""Pages to which several checks lead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.checks.findings.results import Link

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.miners.models import Miner


def miner_link(miners: Sequence[Miner]) -> Link:
    """Return the page of one miner, or of all if there are several."""
    is_single = len(miners) == 1 and miners[0].address
    return Link("miner", (miners[0].address,)) if is_single else Link("miners")
