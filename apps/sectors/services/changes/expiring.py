"""Extensions of the sectors of a miner that end in a range of epochs, as lotus-miner's `sectors extend`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.miners.models import Miner
from apps.sectors.errors.changes import ChangeRefused
from apps.sectors.models import Sector
from apps.sectors.rules.params import has_data
from apps.sectors.selectors.change_prices import ChangeRequest
from apps.sectors.selectors.expirations import sectors_expiring
from apps.sectors.services.changes.plans import ChangePlan, changes_plan
from apps.sectors.services.changes.steps import CHANGES_MAX
from apps.sectors.services.reservations import numbers_parse
from apps.users.rules.principals import Principal
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET, Network

FROM: Final = 120
"""Epochs from the head on: one hour."""
TO: Final = 92_160
"""Epochs from the head on: 32 days.  Source: lotus cli/spcli/sectors.go SectorsExtendCmd."""
TOLERANCE: Final = 7 * EPOCHS_PER_DAY_MAINNET


@dataclass(frozen=True, slots=True)
class ExpiringChoice:
    """Which of a miner's sectors are extended."""

    miner: Miner
    ends_from: int | None = None
    """Epoch; None: an hour from the head on."""
    ends_to: int | None = None
    """Epoch; None: 32 days from the head on."""
    exclude: str = ""
    """Numbers that are left out, as in `5,7-9`."""
    only_cc: bool = False
    tolerance: int = TOLERANCE
    """Fewest epochs that a sector must gain."""
    max_sectors: int = CHANGES_MAX


def expiring_choose(
    choice: ExpiringChoice,
    *,
    request: ChangeRequest,
    viewer: Principal,
    client: ChainClient,
    head: Head,
    network: Network,
) -> list[Sector]:
    """Return the sectors to extend, soonest first: those that can be, as many as one request takes.

    Raises BadValue, ChangeRefused if there are none, NodeRefused, NodeUnavailable, NetworkUnknown.
    """
    for group in _groups(choice, viewer=viewer, height=head.height):
        plan = changes_plan(group, request=request, client=client, head=head, network=network)
        chosen = [one.sector for one in plan.accepted if one.sector.pk not in _too_short(plan, choice)]
        if chosen:
            return chosen[: choice.max_sectors]
    raise ChangeRefused(gettext("no sector that ends then can be extended"))


def _groups(choice: ExpiringChoice, *, viewer: Principal, height: int) -> Iterator[list[Sector]]:
    """Yield the sectors that end in the range, soonest first."""
    first = height + FROM if choice.ends_from is None else choice.ends_from
    last = height + TO if choice.ends_to is None else choice.ends_to
    if last < first:
        raise BadValue(
            gettext("epoch {last} is before epoch {first}").format(last=last, first=first), field="ends_to"
        )
    left_out = set(numbers_parse(choice.exclude)) if choice.exclude else set()
    after: tuple[int, int] | None = None
    while rows := sectors_expiring(
        viewer, choice.miner, start=first, before=last + 1, after=after, limit=CHANGES_MAX
    ):
        chosen = [row for row in rows if row.number not in left_out]
        if choice.only_cc:
            chosen = [row for row in chosen if not has_data(row)]
        if chosen:
            yield chosen
        after = rows[-1].expiration or 0, rows[-1].pk


def _too_short(plan: ChangePlan, choice: ExpiringChoice) -> set[int]:
    """Return the keys of the sectors that gain fewer epochs than wanted."""
    return {
        one.sector.pk
        for one in plan.accepted
        if one.after is not None
        and one.live is not None
        and one.after.expiration - one.live.expiration < choice.tolerance
    }
