"""What the console commands a host, on the answer to a heartbeat."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from poolsite.wire.codec import Document, Text

WITHOUT_UPGRADE: Final = ("poolsite/0.1.0",)
"""Versions that refuse a whole answer with UPGRADE in it."""

UPGRADE_EXIT: Final = 100
"""Exit code of a worker that was told to make room for another version of itself."""


class Operation(StrEnum):
    """The commands for a host."""

    PAUSE = "pause"
    """Claim nothing; what runs goes on."""
    RESUME = "resume"
    DRAIN = "drain"
    """Claim no new sectors, finish those that are here."""
    UPGRADE = "upgrade"
    """Finish the stages that run, begin none, and exit with UPGRADE_EXIT: the service manager starts what is
    installed by then."""
    SET_PLAN = "set_plan"
    """Use these settings of the console and no others, each by its level, as {"host.slots.PC1": "2"}."""
    MEASURE = "measure"
    """Measure the disks now."""
    REMOVE = "remove"
    """Remove the files of a sector that is over, as {"job": uuid, "miner_id": "1000", "number": "7"}; with
    `keeps_store` those of its sealing folder alone."""
    END_STAGE = "end_stage"
    """End what computes the stage of a job under this lease or an earlier one, as {"job": uuid,
    "token": "7"}."""
    ATTACH = "attach"
    """Attach a store, as {"path": "/mnt/a"}; with `init` a folder without a mark gets one."""
    DETACH = "detach"
    """Detach a store, as {"uid": its identity}; its files stay."""
    SET_STORE = "set_store"
    """Write into a store's `sectorstore.json`, as {"uid": …, "weight": "2", "reserve_bytes": "0",
    "read_only": "yes"}; what is not named stays."""
    COPY_SECTOR = "copy_sector"
    """Copy a sector into another store and verify it there, as {"move": its uuid, "miner_id": "1000",
    "number": "7", "seal_proof": "8", "comm_r": hex, "from": uid, "to": uid}."""
    REMOVE_COPY = "remove_copy"
    """Remove it from the first store, with the same words."""
    DROP_COPY = "drop_copy"
    """Remove from the second store what was copied so far, as the move has ended, with the same words."""
    CHECK_SECTOR = "check_sector"
    """Compare a sector's files in a store with their sums, as {"uid": …, "miner_id": "1000", "number": "7",
    "seal_proof": "8", "comm_r": hex, "bytes_s": "104857600"}; with `quick` names, sizes and comm_r alone."""
    SCAN_STORE = "scan_store"
    """List the sectors that lie in a store, as {"uid": its identity}."""
    REMOVE_LEFTOVER = "remove_leftover"
    """Remove a sector's files from one store, as {"uid": …, "miner_id": "1000", "number": "7"}; with `whole`
    whole ones, too."""
    REMOVE_SEALING = "remove_sealing"
    """Remove from a sealing folder what no job knows, as {"folder": path, "miner_id": "1000",
    "number": "7"}."""
    RESET_DRIVES = "reset_drives"
    """Forget all batches on the drives of `[layers]`, and take the drives as they are."""


MOVE_OPERATIONS: Final = (Operation.COPY_SECTOR, Operation.REMOVE_COPY, Operation.DROP_COPY)
"""Those of a sector on its way to another store."""
STORE_OPERATIONS: Final = (
    *(Operation.ATTACH, Operation.DETACH, Operation.SET_STORE),
    *MOVE_OPERATIONS,
    *(Operation.CHECK_SECTOR, Operation.SCAN_STORE, Operation.REMOVE_LEFTOVER),
)
"""What pages and programs order by the store, not as a plain command."""


class Command(Document, frozen=True, kw_only=True):
    """A command for a host, repeated on each heartbeat until the host reports it done."""

    id: Text
    op: Text
    """What an `Operation` names; a newer console may name others."""
    args: dict[Text, Text] = {}
