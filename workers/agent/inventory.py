"""What a sealing host tells the console of its disks when it registers: sectors in progress, and its stores.

A console whose database was restored from a backup imports from it what its rows lack.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from poolsite.filecoin.bitfield import bitfield_of, bitfield_to_json
from poolsite.wire.hosts import SectorOnHost, StoredNumbers
from poolsite.wire.pipeline import NEXT_STAGE
from workers.agent.paths import is_guest
from workers.storage.stores import sectors_listed

if TYPE_CHECKING:
    from workers.agent.journal import Journal
    from workers.storage.stores import Stores

SECTORS_MAX: Final = 4_000
"""Of one registration; of a journal with more, the newest."""


def sectors_here(journal: Journal) -> tuple[SectorOnHost, ...]:
    """Return the sectors of the journal, with the inputs and outputs of the stage that began last."""
    found = []
    for job_id in journal.newest(SECTORS_MAX):
        work = journal.work_read(job_id)
        if work is None or work.inputs.state not in NEXT_STAGE or is_guest(work.inputs):
            continue
        outputs = journal.outputs_read(job_id, work.id)
        if outputs is not None:
            outputs = replace(outputs, proof=None)  # large, and made again from the same inputs
        found.append(SectorOnHost(job=job_id, token=work.token, inputs=work.inputs, outputs=outputs))
    return tuple(found)


def stored_here(stores: Stores) -> tuple[StoredNumbers, ...]:
    """Return the numbers of the sectors in the stores that can be read and listed."""
    found: list[StoredNumbers] = []
    for one in stores.here():
        with suppress(OSError):  # the watch tells that it is away
            found += (
                StoredNumbers(
                    miner_id=miner_id,
                    runs=tuple(bitfield_to_json(bitfield_of(numbers))),
                    store=one.name,
                    uid=one.uid,
                )
                for miner_id, numbers in sorted(sectors_listed(one).items())
            )
    return tuple(found)
