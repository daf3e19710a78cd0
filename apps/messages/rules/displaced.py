"""The columns of a message whose nonce another message of its sender used."""

from __future__ import annotations

from apps.messages.models import Message
from apps.messages.reasons import NONCE_LOST, NONCE_USED, NONCE_USED_BY
from apps.messages.states import DONE_ANEW, Wait


def displaced_columns(row: Message, *, is_own: bool, taker: str = "") -> dict[str, object]:
    """Return the wait and error of a message whose nonce another one used; it gets no receipt.

    `is_own`: whether that one is the pool's, too: marked as failed, it gave its nonce to `row`, and landed
    all the same.  `taker`: its CID, empty if not known.
    """
    wait = Wait.NONE if row.kind in DONE_ANEW else Wait.NONCE_TAKEN
    if is_own:
        text = NONCE_LOST()
    elif taker:
        text = NONCE_USED_BY(nonce=row.nonce, taker=taker)
    else:
        text = NONCE_USED(nonce=row.nonce)
    return {"wait": str(wait), "error": text}
