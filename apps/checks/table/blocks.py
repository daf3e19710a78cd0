"""The rows of the table that are about rounds, wins and votes in F3."""

from __future__ import annotations

from typing import Final

from apps.checks.findings import blocks, signers
from apps.checks.findings.results import Check, Link, Severity, Topic

CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING

BLOCK_CHECKS: Final[tuple[Check, ...]] = (
    Check(
        "wins_lost",
        "Every win of the last 24 h became a block on chain",
        (Topic.BLOCKS, Topic.MINERS),
        CRITICAL,
        blocks.lost,
        Link("blocks"),
        "Blocks",
    ),
    Check(
        "blocks_foreign",
        "Only the pool makes its miners' blocks",
        (Topic.BLOCKS, Topic.MINERS),
        CRITICAL,
        blocks.foreign,
        Link("blocks"),
        "Blocks",
    ),
    Check(
        "blocks_unstarted",
        "Blocks are made for every miner that moved in",
        (Topic.BLOCKS, Topic.MINERS),
        WARNING,
        blocks.blocks_not_started,
        Link("blocks"),
        "Blocks",
    ),
    Check(
        "rounds_unbegun",
        "Rounds run for every miner that should make blocks",
        (Topic.BLOCKS, Topic.MINERS),
        CRITICAL,
        blocks.rounds_not_begun,
        Link("blocks"),
        "Blocks",
    ),
    Check(
        "rounds_undrawn",
        "Every round of the last 10 min could be run",
        (Topic.BLOCKS, Topic.MINERS),
        CRITICAL,
        blocks.rounds_not_run,
        Link("blocks"),
        "Blocks",
    ),
    Check(
        "wins_rare",
        "No miner wins improbably rarely",
        (Topic.BLOCKS, Topic.MINERS),
        WARNING,
        blocks.wins_too_few,
        Link("blocks"),
        "Blocks",
    ),
    Check(
        "f3_unleased",
        "A node votes in F3 for every participating miner",
        (Topic.BLOCKS,),
        WARNING,
        blocks.f3_lease_lost,
        Link("blocks"),
        "Blocks",
    ),
    Check(
        "winning_proofs_failed",
        "No winning proof failed in the last 24 h",
        (Topic.MINERS, Topic.GATEWAY),
        CRITICAL,
        signers.winning_proofs_failed,
        Link("gateway"),
        "Gateway",
    ),
)
