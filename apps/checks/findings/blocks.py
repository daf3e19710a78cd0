"""Checks of block production: wins that were lost, rounds that nobody could draw, improbable droughts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from django.utils.translation import gettext_noop

from apps.blocks.models import Round
from apps.blocks.selectors.luck import Luck, luck_since
from apps.blocks.states import RoundState
from apps.checks import reasons
from apps.checks.findings.acts import ACTS_MAX, blocks_unwanted, miner_warm_up
from apps.checks.findings.parts import NODE, needs_of, process_part, round_parts
from apps.checks.findings.results import Act, Finding, Link
from apps.checks.findings.text import grouped, miner_name, miners_named, named
from apps.checks.selectors.data import CheckData
from apps.core.formatting import fil
from apps.core.local_time import moment_text
from apps.core.reasons import MARKED, MOMENT, Reason, as_reason, clauses, colon, counted, lasting
from apps.miners.models import Miner

RARE: Final = 0.001
"""Probability at which a lack of wins is no chance any more, shared among all miners and spans."""
F3_GRACE: Final = timedelta(minutes=5)
"""How long a miner may be without a lease of F3: about two of them."""


def lost(data: CheckData) -> Iterator[Finding]:
    """Wins without a block on the chain, by miner; those that a tenant's signer lost together."""
    for group in grouped(_lost_together(data.wins_lost)):
        rows = [row for of_cause in group for row in of_cause]
        miners = list({row.miner_id: row.miner for row in rows}.values())
        missing = data.reward_per_win * sum(row.win_count for row in rows)
        last = rows[0]
        by_signer = f"signer-{last.miner.tenant_id}" if _is_signers(group[0]) else ""
        yield Finding(
            f"wins-lost-{by_signer or last.miner.address or last.miner_id}",
            reasons.WINS_LOST(wins=counted(len(rows), "win"), group=miners_named(miners)),
            _lost_reason(last, missing),
            link=Link("block-round", (str(last.uuid),)) if len(miners) == 1 else None,
            button=gettext_noop("Round") if len(miners) == 1 else "",
            count=len(rows),
            per_day=missing,
            acts=_acts(miners, last, data),
            needs=needs_of(round_parts(row.miner, row) for row in rows),
            seen_s=int(last.at.timestamp()),
        )


def _lost_together(lost: Sequence[Round]) -> list[list[Round]]:
    """Return lost wins by miner, where a signer lost all of a miner's with those of its tenant's others."""
    by_miner: dict[int, list[Round]] = {}
    for row in lost:
        by_miner.setdefault(row.miner_id, []).append(row)
    found: dict[tuple[str, int], list[Round]] = {}
    for miner_id, rows in by_miner.items():
        key = ("tenant", rows[0].miner.tenant_id) if _is_signers(rows) else ("miner", miner_id)
        found.setdefault(key, []).extend(rows)
    return [sorted(rows, key=lambda row: row.at, reverse=True) for rows in found.values()]


def _is_signers(rows: Sequence[Round]) -> bool:
    return all(row.state in (RoundState.SIGNER_AWAY, RoundState.SIGNER_REFUSED) for row in rows)


def _lost_reason(last: Round, missing: int) -> str:
    """Return what the last one was lost by, its sector, and what all of them would have brought."""
    words = reasons.ROUND_WAS(epoch=last.epoch, sector=last.sector, outcome=_outcome(last))
    cause = last.reason or (reasons.ORPHANED() if last.state == RoundState.ORPHANED else "")
    cost = reasons.WINS_WORTH(missing=fil(missing)) if missing else ""
    return clauses(colon(words, cause), cost)


def _outcome(row: Round) -> Reason:
    label = str(RoundState(row.state).label)
    return Reason(label.lower(), MARKED.code, {"text": label})


def _acts(miners: Sequence[Miner], last: Round, data: CheckData) -> tuple[Act, ...]:
    """Return the warm-up of a miner, which goes the way of a win, where it can show more than is known.

    Nothing brings an orphan back, and without a signer it fails at the step that is named already.
    """
    is_known = last.state == RoundState.ORPHANED or (
        last.state == RoundState.SIGNER_AWAY and not data.is_signed_for(miners[0])
    )
    return () if len(miners) > 1 or is_known else (miner_warm_up(miners[0]),)


def foreign(data: CheckData) -> Iterator[Finding]:
    """Miners of which another program makes blocks, too: two of one epoch are a consensus fault."""
    ill = [miner for miner in data.miners if miner.pk in data.blocks_foreign]
    for group in grouped(ill):
        yield Finding(
            f"blocks-foreign-{group[0].address}",
            reasons.BLOCKS_FOREIGN(group=miners_named(group)),
            reasons.BLOCK_FOREIGN(epoch=data.blocks_foreign[group[0].pk]),
            link=Link("miner", (group[0].address,)) if len(group) == 1 else None,
            button=gettext_noop("Miner") if len(group) == 1 else "",
            count=len(group),
            per_day=sum(data.reward_per_day(miner) for miner in group),
        )


def blocks_not_started(data: CheckData) -> Iterator[Finding]:
    """Miners that moved in and whose blocks nobody makes: each win is lost without a round that says so."""
    miners = sorted(data.blocks_unstarted, key=lambda miner: -miner.qa_power)
    for group in grouped(miners):
        yield Finding(
            f"blocks-unstarted-{group[0].address}",
            reasons.BLOCKS_UNSTARTED(group=miners_named(group)),
            reasons.BLOCKS_STOPPED(height=group[0].works_from),
            link=Link("miner-move-in", (group[0].address,)) if len(group) == 1 else None,
            button=gettext_noop("Move in") if len(group) == 1 else "",
            acts=tuple(blocks_unwanted(miner) for miner in group[:ACTS_MAX]),
            count=len(group),
            per_day=sum(data.reward_per_day(miner) for miner in group),
        )


def rounds_not_run(data: CheckData) -> Iterator[Finding]:
    """Miners whose rounds could not be drawn: each may have been a win."""
    miners = {miner.pk: miner for miner in data.miners}
    for group in grouped(data.rounds_not_run):
        last, rounds = group[0].last, sum(one.rounds for one in group)
        names = [miner_name(miners[one.miner_id]) for one in group]
        yield Finding(
            f"rounds-undrawn-{miners[group[0].miner_id].address or group[0].miner_id}",
            reasons.ROUNDS_NOT_RUN(rounds=counted(rounds, "round"), names=named(names)),
            reasons.ROUND_NOT_RUN(epoch=last.epoch, outcome=_outcome(last), reason=as_reason(last.reason)),
            link=Link("block-round", (str(last.uuid),)) if len(group) == 1 else None,
            button=gettext_noop("Round") if len(group) == 1 else "",
            count=rounds,
            acts=_acts([miners[one.miner_id] for one in group], last, data),
            needs=needs_of(round_parts(miners[one.miner_id], one.last) for one in group),
            seen_s=int(last.at.timestamp()),
        )


def rounds_not_begun(data: CheckData) -> Iterator[Finding]:
    """Miners whose rounds nobody draws: the block process is down, or has no node to draw them with."""
    miners = sorted(data.miners_without_rounds, key=lambda miner: -miner.qa_power)
    for group in grouped(miners):
        per_day = sum(data.reward_per_day(miner) for miner in group)
        wins = per_day / data.reward_per_win if data.reward_per_win else 0.0
        expected = reasons.WINS_EXPECTED(wins=wins) if wins else ""
        yield Finding(
            f"rounds-unbegun-{group[0].address or group[0].pk}",
            reasons.ROUNDS_NOT_BEGUN(group=miners_named(group)),
            reasons.NO_BLOCK_WON(expected=expected),
            count=len(group),
            per_day=per_day,
            acts=(miner_warm_up(group[0]),) if len(group) == 1 else (),
            needs=((NODE, process_part("blocks")),),
        )


def wins_too_few(data: CheckData) -> Iterator[Finding]:
    """Miners with fewer wins than chance explains: by wrong power, a wrong key, or a chain of their own."""
    limit = RARE / max(sum(len(of_miner) for of_miner in data.lucks.values()), 1)
    found = [
        (miner, days, luck)
        for miner in data.miners
        for days, luck in [_least_probable(data.lucks.get(miner.pk, {}))]
        if luck is not None and luck.tail < limit
    ]
    for group in grouped(found):
        miner, days, luck = group[0]
        since = luck_since(days, now=data.at)
        yield Finding(
            f"wins-rare-{miner.address or miner.pk}",
            reasons.WINS_FEW(group=miners_named((one for one, _, _ in group))),
            reasons.WINS_IMPROBABLE(
                wins=counted(luck.wins, "win"),
                since=Reason(moment_text(since), MOMENT.code, {"at": since.isoformat()}),
                expected=luck.expected,
                odds=1 / max(luck.tail, 1e-12),
            ),
            link=Link("miner", (miner.address,)) if len(group) == 1 else None,
            button=gettext_noop("Miner") if len(group) == 1 else "",
            count=len(group),
            acts=(miner_warm_up(miner),) if len(group) == 1 else (),
        )


def _least_probable(lucks: dict[int, Luck]) -> tuple[int, Luck | None]:
    """Return the span whose wins are the least probable."""
    return min(lucks.items(), key=lambda one: one[1].tail, default=(0, None))


def f3_lease_lost(data: CheckData) -> Iterator[Finding]:
    """Miners that no node votes for in fast finality any more, though blocks are made for them."""
    late = data.at - F3_GRACE
    failing = [one for one in data.f3_leases if one.failing_since is not None and one.failing_since < late]
    ill = [lease for lease in failing if not lease.runs_at(data.at)]
    for group in grouped(ill):
        since = min(lease.failing_since for lease in group if lease.failing_since is not None)
        ago = lasting((data.at - since).total_seconds())
        yield Finding(
            f"f3-lease-{group[0].miner.address}",
            reasons.F3_UNVOTED(group=miners_named(lease.miner for lease in group)),
            reasons.F3_RENEWAL_FAILS(ago=ago, reason=as_reason(group[0].reason)),
            count=len(group),
        )
