"""DisputeWindowedPoSt: doubting a proof that was taken.  Every proof is verified here, so no doubt holds.

Source: builtin-actors actors/miner/src/lib.rs dispute_windowed_post.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.exits import bad_argument, forbidden
from poolsite.devnet.actors.ledger import SENDER_KINDS, actor_get
from poolsite.devnet.actors.miner.book import Reader
from poolsite.filecoin.actors.miner_proving import DISPUTE_WINDOWED_POST_PARAMS
from poolsite.filecoin.deadlines import is_available_for_dispute

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call

VALID_POST_GAS: Final = 126_900_000
"""Measured on a real node: what the verification of the doubted proof costs."""


def dispute_window_post(call: Call) -> bytes:
    """Handle DisputeWindowedPoSt: always refused, with the reason of the real actor."""
    params = call.read(DISPUTE_WINDOWED_POST_PARAMS)
    caller = actor_get(call.draft, call.caller)
    if caller is None or caller.kind not in SENDER_KINDS:
        raise forbidden(f"caller f0{call.caller} is not one of supported")
    index = params.deadline
    if index >= call.network.proving.deadlines:
        raise bad_argument(f"invalid deadline {index} of {call.network.proving.deadlines}")
    reader, window = Reader(call.draft, call.receiver, call.network), call.network.dispute_window
    if not is_available_for_dispute(reader.deadline_at(index, call.epoch), dispute_window=window):
        raise forbidden(
            f"can only dispute window posts during the dispute window ({window} epochs after the challenge "
            "window closes)"
        )
    if not reader.deadline(index).partitions:
        raise bad_argument(f"no proof of deadline {index} to dispute")
    call.charge_to(VALID_POST_GAS)
    raise bad_argument("failed to dispute valid post")
