"""What a change of sectors does and costs, as facts and rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from django.urls import reverse
from django.utils.translation import gettext as _

from apps.chain.selectors.status import EpochClock
from apps.core import formatting
from apps.core.languages import list_text
from apps.core.reasons import shown_text
from apps.dashboard.confirm_page import approval_facts, refusal_linked, signer_facts
from apps.sectors.selectors.change_prices import SectorPrice
from apps.sectors.services.changes.plans import ChangePlan
from apps.sectors.services.changes.signing import change_sender_find, signers_refusal_find
from apps.users.rules.principals import Principal
from poolsite.wire.pipeline.changes import ChangeKind

ROWS_SHOWN: Final = 100
"""Sectors that are listed with their price; the sums are of all."""


def plan_facts(plan: ChangePlan, *, by: Principal) -> Iterable[tuple[str, ...]]:
    """Yield effects and costs of a change in total, and what the signers would refuse of it."""
    is_end = plan.request.kind is ChangeKind.TERMINATE
    if is_end:
        yield _("Termination fee"), f"{formatting.fil(plan.fee)} FIL"
    if plan.gas_expected is None or plan.gas_max is None:
        yield _("Gas"), shown_text(plan.trial_error) or _("known once a deadline accepts changes")
    else:
        most = formatting.fil(plan.gas_max)
        yield (
            _("Gas"),
            _("{gas_expected} FIL expected, at most {most} FIL").format(
                gas_expected=formatting.fil(plan.gas_expected), most=most
            ),
        )
    if plan.burnt is not None:
        yield _("Total burnt"), f"{formatting.fil(plan.burnt)} FIL"
    for miner, debt in plan.debts.items():
        yield (
            _("Fee debt"),
            _(
                "{miner} lacks {fil} FIL for the fee: send it that much first; while it is in debt it makes "
                "no blocks and pre-commits no sectors"
            ).format(fil=formatting.fil(debt), miner=miner),
        )
    if is_end:
        yield _("Pledge released"), f"{formatting.fil(plan.pledge)} FIL"
    else:
        yield _("Daily fee"), daily_text(plan.daily_fee_change)
    change = plan.power_change
    size = " ".join(formatting.size(abs(change)))
    yield _("Power"), _("unchanged") if not change else f"{'+' if change > 0 else '-'}{size}"
    yield _("Messages"), formatting.whole(plan.messages)
    yield from approval_facts(plan.approval)
    refusal = signers_refusal_find(plan, by=by)
    yield from refusal_linked(signer_facts(refusal), refusal, href=policy_href(plan) if refusal else "")
    if plan.sends_at > plan.height:
        yield (
            _("Sent"),
            _("starting now, the last at epoch {sends_at}").format(sends_at=formatting.whole(plan.sends_at)),
        )


def policy_href(plan: ChangePlan) -> str:
    """Return the policy that signs a change of one miner's sectors; of several, the list of wallets."""
    miners = {one.sector.miner.pk: one.sector.miner for one in plan.accepted}
    if len(miners) != 1:
        return reverse("wallets")
    [miner] = miners.values()
    return reverse("policy", args=[change_sender_find(miner, kind=plan.request.kind)])


def daily_text(change: int) -> str:
    """Return by how much the fee of each day changes."""
    if not change:
        return _("unchanged")
    amount = f"{'+' if change > 0 else '-'}{formatting.fil(abs(change))} FIL"
    return _("{amount} a day").format(amount=amount)


def rows_of(prices: Sequence[SectorPrice], clock: EpochClock | None) -> list[dict[str, str]]:
    """Lay out the sectors with their price, refused ones first."""

    def left(epoch: int) -> str:
        return formatting.time_left(None if clock is None else clock.left_s(epoch))

    ordered = sorted(prices, key=lambda one: not one.refusal)[:ROWS_SHOWN]
    return [
        {
            "name": f"{one.sector.miner.address} / {one.sector.number}",
            "href": reverse("sector", args=[one.sector.uuid]),
            "ends": formatting.NOTHING if one.live is None else left(one.live.expiration),
            "new": "" if one.after is None else left(one.after.expiration),
            "epoch": "" if one.after is None else formatting.whole(one.after.expiration),
            "fee": f"{formatting.fil(one.fee)} FIL" if one.fee else "",
            "dropped": "" if one.after is None else list_text(one.after.dropped),
            "refusal": shown_text(one.refusal),
        }
        for one in ordered
    ]
