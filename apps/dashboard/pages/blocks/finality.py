"""Who votes for each miner in F3, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext

from apps.blocks.selectors.finality import f3_read
from apps.checks.findings.text import miner_name
from apps.core import formatting
from apps.core.languages import list_text
from apps.core.stored_texts import stored_text
from apps.dashboard.cards import Fact
from apps.dashboard.pages.blocks.miner_rows import STRIPS_MAX

if TYPE_CHECKING:
    from datetime import datetime

    from apps.blocks.models import F3Lease
    from apps.blocks.selectors.finality import F3Participation
    from apps.dashboard.page_data import PageData


def finality_facts(data: PageData) -> list[Fact]:
    """List who votes for each miner in F3; for the operator, who knows the nodes, also what each says."""
    shown, participations = data.f3_leases[:STRIPS_MAX], f3_read()
    runs = not participations or any(participation.is_running for participation in participations.values())
    leases = [Fact(miner_name(lease.miner), lease_text(lease, data.at, runs=runs)) for lease in shown]
    if not data.viewer.is_operator:
        return leases
    names = {str(miner.actor_id): miner.name or miner.address for miner in data.miners}
    return [
        *leases,
        *(Fact(node, finality_text(participation, names)) for node, participation in participations.items()),
    ]


def lease_text(lease: F3Lease, now: datetime, *, runs: bool = True) -> str:
    """Return one miner's lease in F3 in words; `runs`: some node is in F3 already."""
    until, instance = formatting.whole(lease.ends), formatting.whole(lease.instance)
    why = stored_text(lease.reason)
    if lease.runs_at(now):
        later = gettext("; renewal failed: {reason}").format(reason=why) if why else ""
        if why and lease.failing_since is None:
            later = gettext("; it will not be renewed: {reason}").format(reason=why)
        if not runs:
            return gettext("a node will vote for it until instance {until}, once it runs F3{later}").format(
                until=until, later=later
            )
        return gettext("a node votes for it until instance {until}, currently {instance}{later}").format(
            until=until, instance=instance, later=later
        )
    if why and lease.failing_since is None:
        return gettext("no lease is requested: {reason}").format(reason=why)
    if lease.is_in_doubt and lease.restored_until is not None:
        return gettext("waiting for instance {until} to end, currently {instance}: {reason}").format(
            until=formatting.whole(lease.restored_until), instance=instance, reason=why
        )
    if not lease.is_known_at(now):
        return gettext("unknown whether a node votes for it: {reason}").format(
            reason=why or gettext("no node was queried recently")
        )
    return gettext("no node votes for it: {reason}").format(reason=why or gettext("its lease has expired"))


def finality_text(participation: F3Participation, names: dict[str, str]) -> str:
    """Put one node's part in F3 into words."""
    if not participation.is_running:
        return participation.reason or gettext("this node does not run F3")
    own = [names[str(actor_id)] for actor_id in participation.miners if str(actor_id) in names]
    part = (
        gettext("participates for {own}").format(own=list_text(own))
        if own
        else gettext("participates for none of these miners")
    )
    final = (
        ""
        if participation.finalized is None
        else gettext("finalized through epoch {finalized}; ").format(
            finalized=formatting.whole(participation.finalized)
        )
    )
    return gettext("running, instance {instance}; {final}{part}").format(
        instance=participation.instance, final=final, part=part
    )
