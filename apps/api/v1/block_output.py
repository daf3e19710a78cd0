"""Rounds and blocks as REST writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rest_framework import serializers

from apps.api.v1.serializers import CODE_HELP
from apps.blocks.selectors.luck import Luck
from apps.blocks.states import RoundState, WhyNot
from apps.core.reasons import code_of

if TYPE_CHECKING:
    from apps.blocks.models import Block, Round


class StepOutput(serializers.Serializer[Any]):
    """One step of a round, in milliseconds since the base tipset's epoch began."""

    name = serializers.CharField()
    start_ms = serializers.IntegerField()
    ms = serializers.IntegerField()


class RoundOutput(serializers.Serializer[Any]):
    """The outcome of one epoch for a miner."""

    height = serializers.IntegerField()
    base_height = serializers.IntegerField()
    eligible = serializers.BooleanField()
    why_not = serializers.ChoiceField(choices=["", *WhyNot.values])
    expected = serializers.FloatField(help_text="expected wins")
    won = serializers.IntegerField(help_text="wins; 0 for most rounds")
    outcome = serializers.ChoiceField(choices=RoundState.values)
    reason = serializers.CharField()
    reason_code = serializers.CharField(help_text=CODE_HELP)
    sector = serializers.IntegerField(allow_null=True)
    steps = StepOutput(many=True)
    budget_ms = serializers.IntegerField(help_text="time by which a block had to be signed")
    at = serializers.DateTimeField()


class LuckOutput(serializers.Serializer[Any]):
    """Wins of a span, and the wins expected from the miner's share of the power."""

    days = serializers.IntegerField(help_text="length of the span, which ends now")
    wins = serializers.IntegerField()
    expected = serializers.FloatField()
    share = serializers.FloatField(allow_null=True, help_text="wins per expected win; null if none was")


class RoundPage(serializers.Serializer[Any]):
    """Rounds, newest first."""

    results = RoundOutput(many=True)
    next = serializers.CharField(allow_null=True)
    why_not_now = serializers.CharField(
        help_text="why no rounds run now, which leaves no row: as `why_not` of `/mining`"
    )


class BlockOutput(serializers.Serializer[Any]):
    """One block that was created."""

    height = serializers.IntegerField()
    cid = serializers.CharField(allow_null=True)
    outcome = serializers.ChoiceField(choices=RoundState.values)
    won = serializers.IntegerField()
    reward = serializers.CharField(
        allow_null=True, help_text="attoFIL, including tips; null until it is recorded"
    )
    penalty = serializers.CharField(allow_null=True)
    messages = serializers.IntegerField()
    submitted_at = serializers.DateTimeField(allow_null=True)


class BlockPage(serializers.Serializer[Any]):
    """Blocks, newest first."""

    results = BlockOutput(many=True)
    next = serializers.CharField(allow_null=True)


def round_body(row: Round) -> dict[str, Any]:
    """Return one round as JSON."""
    return {
        "height": row.epoch,
        "base_height": row.base_height,
        "eligible": row.is_eligible,
        "why_not": row.why_not,
        "expected": row.expected,
        "won": row.win_count,
        "outcome": row.state,
        "reason": row.reason,
        "reason_code": code_of(row.reason),
        "sector": row.sector,
        "steps": [{"name": name, "start_ms": start, "ms": length} for name, start, length in row.steps],
        "budget_ms": row.budget_ms,
        "at": row.at,
    }


def luck_body(spans: Mapping[int, Luck]) -> list[dict[str, Any]]:
    """Return a miner's luck as JSON, the shortest span first."""
    return [
        {
            "days": days,
            "wins": luck.wins,
            "expected": round(luck.expected, 4),
            "share": None if luck.share is None else round(luck.share, 4),
        }
        for days, luck in sorted(spans.items())
    ]


def block_body(row: Block) -> dict[str, Any]:
    """Return one block as JSON."""
    assert row.round is not None
    return {
        "height": row.height,
        "cid": row.cid or None,
        "outcome": row.round.state,
        "won": row.round.win_count,
        "reward": None if row.reward is None else str(row.reward),
        "penalty": None if row.penalty is None else str(row.penalty),
        "messages": row.messages,
        "submitted_at": row.submitted_at,
    }
