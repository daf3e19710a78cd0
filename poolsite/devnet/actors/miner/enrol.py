"""A miner's place in cron: which epoch wakes it next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.frames import call_note
from poolsite.devnet.state.rows import CRON, CronEvents
from poolsite.filecoin.actors.power import EnrollCronEventParams, Method
from poolsite.filecoin.address import POWER_ACTOR
from poolsite.filecoin.codec import to_cbor

if TYPE_CHECKING:
    from poolsite.devnet.actors.miner.state_editor import MinerStateEditor

PROVING_DEADLINE_EVENT: Final = b"\x81\x01"
"""What a miner leaves with the power actor: the kind of its event, CBOR."""


def cron_at(editor: MinerStateEditor, epoch: int) -> None:
    """Wake the miner at the end of `epoch`."""
    events: CronEvents | None = editor.state.get(CRON, epoch)
    miners = () if events is None else events.miners
    if editor.id not in miners:
        editor.state.put(CRON, epoch, CronEvents(tuple(sorted((*miners, editor.id)))))


def cron_enrol(editor: MinerStateEditor, now: int) -> None:
    """Start the miner's deadlines: from now on cron settles each at its last epoch."""
    info = editor.deadline_now(now)
    editor.change(period_start=info.period_start, deadline=info.index, cron_active=True)
    cron_at(editor, info.last)
    params = to_cbor(EnrollCronEventParams(info.last, PROVING_DEADLINE_EVENT))
    call_note(editor.machine, POWER_ACTOR, Method.ENROLL_CRON_EVENT, params=params)
