"""Draws the state tables of docs/states.md: `make docs`; a test compares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

HEAD: Final = """# States

Each of these `state` columns changes only along its model's table, through `apps.core.transitions` (claims
and the lease sweep take the step from the same table). The diagrams are drawn from the tables (`make docs`;
`make test` compares); an arrow is labelled with its events. After a restore a sector
may go from any state to any other (`RECOVER_TO_…`): those arrows are left out.
"""


def tables() -> dict[str, tuple[str, Mapping[str, Mapping[str, str]]]]:
    """Return each table under the name of its rows, and where it stands."""
    from apps.blocks.states import TRANSITIONS as ROUNDS
    from apps.market.states import TRANSITIONS as DEALS
    from apps.messages.states import APPROVAL_TRANSITIONS, SENDER_TRANSITIONS
    from apps.messages.states import TRANSITIONS as MESSAGES
    from apps.miners.states import ROLE_TRANSITIONS
    from apps.miners.states import TRANSITIONS as MINERS
    from apps.pieces.states import DELIVERY_TRANSITIONS
    from apps.pieces.states import TRANSITIONS as PIECES
    from apps.proving.states import (
        ATTEMPT_TRANSITIONS,
        CHECK_TRANSITIONS,
        DECLARATION_TRANSITIONS,
        POST_TRANSITIONS,
        RECOVERY_TRANSITIONS,
    )
    from apps.sectors.states import (
        ADOPTION_TRANSITIONS,
        BATCH_TRANSITIONS,
        FINDING_TRANSITIONS,
        JOB_TRANSITIONS,
        MOVE_TRANSITIONS,
        RESERVATION_TRANSITIONS,
        SCAN_TRANSITIONS,
        STORE_CHECK_TRANSITIONS,
    )
    from poolsite.wire.pipeline import RUN_TRANSITIONS
    from poolsite.wire.pipeline import TRANSITIONS as SECTORS
    from poolsite.wire.pipeline.changes import CHANGE_TRANSITIONS

    return {
        "Sectors": ("poolsite/wire/pipeline/sealing.py", SECTORS),
        "Terminations and extensions": ("poolsite/wire/pipeline/changes.py", CHANGE_TRANSITIONS),
        "Snap-ups and rebuilds": ("poolsite/wire/pipeline/snapping.py, rebuilding.py", RUN_TRANSITIONS),
        "Jobs": ("apps/sectors/states.py", JOB_TRANSITIONS),
        "Batches": ("apps/sectors/states.py", BATCH_TRANSITIONS),
        "Moves between stores": ("apps/sectors/states.py", MOVE_TRANSITIONS),
        "Checks of a store's files": ("apps/sectors/states.py", STORE_CHECK_TRANSITIONS),
        "Scans of a store": ("apps/sectors/states.py", SCAN_TRANSITIONS),
        "What a scan found": ("apps/sectors/states.py", FINDING_TRANSITIONS),
        "Adoptions of sectors": ("apps/sectors/states.py", ADOPTION_TRANSITIONS),
        "Reserved sector numbers": ("apps/sectors/states.py", RESERVATION_TRANSITIONS),
        "Messages": ("apps/messages/states.py", MESSAGES),
        "Approvals of messages": ("apps/messages/states.py", APPROVAL_TRANSITIONS),
        "Senders": ("apps/messages/states.py", SENDER_TRANSITIONS),
        "Miners": ("apps/miners/states.py", MINERS),
        "Roles of hosts": ("apps/miners/states.py", ROLE_TRANSITIONS),
        "Pieces": ("apps/pieces/states.py", PIECES),
        "Deals": ("apps/market/states.py", DEALS),
        "Deliveries of pieces": ("apps/pieces/states.py", DELIVERY_TRANSITIONS),
        "Proofs of windows": ("apps/proving/states.py", POST_TRANSITIONS),
        "Attempts at a proof": ("apps/proving/states.py", ATTEMPT_TRANSITIONS),
        "Recoveries": ("apps/proving/states.py", RECOVERY_TRANSITIONS),
        "Declarations of faults": ("apps/proving/states.py", DECLARATION_TRANSITIONS),
        "Checks of sectors": ("apps/proving/states.py", CHECK_TRANSITIONS),
        "Rounds of block production": ("apps/blocks/states.py", ROUNDS),
    }


def diagram(table: Mapping[str, Mapping[str, str]]) -> str:
    """Return one table as Mermaid draws it; events between the same two states share an arrow."""
    lines = ["stateDiagram-v2"]
    for state, steps in table.items():
        arrows: dict[str, list[str]] = {}
        for event, target in steps.items():
            if event.startswith("RECOVER_TO_"):
                continue
            arrows.setdefault(str(target), []).append(event)
        lines += [f"    {state} --> {target}: {', '.join(events)}" for target, events in arrows.items()]
        if not steps:
            lines.append(f"    {state} --> [*]")
    return "\n".join(lines)


def page() -> str:
    """Return the whole page."""
    parts = [
        f"## {name}\n\n`{where}`\n\n```mermaid\n{diagram(table)}\n```\n"
        for name, (where, table) in tables().items()
    ]
    return "\n".join([HEAD, *parts])
