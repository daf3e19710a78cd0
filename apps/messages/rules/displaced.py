"""The columns of a message whose nonce another message of its sender used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_noop

from apps.messages.states import DONE_ANEW, Wait

if TYPE_CHECKING:
    from apps.messages.models import Message


def displaced_columns(row: Message, *, is_own: bool, taker: str = "") -> dict[str, object]:
    """Return the wait and error of a message whose nonce another one used; it gets no receipt.

    `is_own`: whether that one is the pool's, too; `taker`: its CID, empty if not known.
    """
    if is_own or row.kind in DONE_ANEW:
        return {
            "wait": str(Wait.NONE),
            "error": gettext_noop("another message of this sender landed with its nonce"),
        }
    text = gettext_noop("nonce {nonce} was used by another program's message")
    if taker:
        text = gettext_noop("nonce {nonce} was used by another program's message {taker}")
    return {"wait": str(Wait.NONCE_TAKEN), "error": text.format(nonce=row.nonce, taker=taker)}
