"""The rows of the table that are about rounds, wins and votes in F3."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from apps.checks.findings import blocks, signers
from apps.checks.findings.results import Check, Link, Severity, Topic

CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING

BLOCK_CHECKS: Final[tuple[Check, ...]] = (
    Check(
        "wins_lost",
        _("Every win of the last 24 h became a block on chain"),
        (Topic.BLOCKS, Topic.MINERS),
        CRITICAL,
        blocks.lost,
        Link("blocks"),
        _("Blocks"),
    ),
    Check(
        "blocks_foreign",
        _("Only the pool makes its miners' blocks"),
        (Topic.BLOCKS, Topic.MINERS),
        CRITICAL,
        blocks.foreign,
        Link("blocks"),
        _("Blocks"),
    ),
    Check(
        "blocks_unstarted",
        _("Blocks are made for every miner that moved in"),
        (Topic.BLOCKS, Topic.MINERS),
        WARNING,
        blocks.blocks_not_started,
        Link("blocks"),
        _("Blocks"),
    ),
    Check(
        "rounds_unbegun",
        _("Rounds run for every miner that should make blocks"),
        (Topic.BLOCKS, Topic.MINERS),
        CRITICAL,
        blocks.rounds_not_begun,
        Link("blocks"),
        _("Blocks"),
    ),
    Check(
        "rounds_undrawn",
        _("Every round of the last 10 min could be run"),
        (Topic.BLOCKS, Topic.MINERS),
        CRITICAL,
        blocks.rounds_not_run,
        Link("blocks"),
        _("Blocks"),
    ),
    Check(
        "wins_rare",
        _("No miner wins improbably rarely"),
        (Topic.BLOCKS, Topic.MINERS),
        WARNING,
        blocks.wins_too_few,
        Link("blocks"),
        _("Blocks"),
    ),
    Check(
        "f3_unleased",
        _("A node votes in F3 for every participating miner"),
        (Topic.BLOCKS,),
        WARNING,
        blocks.f3_lease_lost,
        Link("blocks"),
        _("Blocks"),
    ),
    Check(
        "winning_proofs_failed",
        _("No winning proof failed in the last 24 h"),
        (Topic.MINERS, Topic.GATEWAY),
        CRITICAL,
        signers.winning_proofs_failed,
        Link("gateway"),
        _("Gateway"),
    ),
)
