"""When something of a window is tried again, and until when.

A missed window costs money on each day that follows, a useless try a few seconds of a prover: so nothing is
given up before the window is, and the pauses are short beside it.  All times are epochs and shares of the
window, so that they fit every network and stand still with the chain.
"""

from __future__ import annotations

from math import ceil
from typing import Any, Final

from apps.proving.models import PostNote, WindowPost
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.services.post_updates import post_update
from poolsite.filecoin.policy import Network

FIRST_SHARE: Final = 64
"""The pause before the third try is this part of a window (1 epoch on mainnet); the second goes at once."""
LONGEST_SHARE: Final = 10
"""No pause is longer than this part of a window (6 epochs on mainnet)."""
WAITING_SHARE: Final = 4
"""A proof that leaves out sectors is not sent in the first of so many parts of a window."""
LAST_SHARE: Final = 20
"""In the last of so many parts of a window, and in its last 2 epochs, nothing is started any more."""
NOTES_MAX: Final = 200
"""Lines kept of one proof; a window has fewer epochs on every network."""


def retry_pause_compute(tries: int, *, window: int) -> int:
    """Return the epochs to wait after so many failures in a row: none after the first, then doubling."""
    if tries <= 1:
        return 0
    doubled: int = 1 << min(tries - 2, 10)
    return min(ceil(window * doubled / FIRST_SHARE), ceil(window / LONGEST_SHARE))


def last_try_epoch_compute(post: WindowPost, *, network: Network) -> int:
    """Return the last epoch in which a proof may be started: its message takes an epoch to land at least."""
    return post.close_epoch - max(2, network.proving.window // LAST_SHARE)


def partial_proof_epoch_compute(post: WindowPost, *, network: Network) -> int:
    """Return the epoch from which on a proof is sent although it leaves out sectors.

    A quarter of the window, and the time before it opens, is for sectors to come back.  Not more: a head that
    comes late, a message that waits or fails would cost the whole partition for the sake of a few.
    """
    return post.open_epoch + network.proving.window // WAITING_SHARE


def is_due(post: WindowPost, *, context: ProvingContext) -> bool:
    """Return whether the next try may be made now."""
    is_rested = post.try_epoch is None or post.try_epoch <= context.head.height
    return is_rested and context.head.height <= last_try_epoch_compute(post, network=context.network)


def retry_schedule(post: WindowPost, *, context: ProvingContext, least: int = 1) -> dict[str, Any]:
    """Return the columns that count one more failure and say when the next try may be made."""
    tries = max(post.tries + 1, least)
    return {
        "tries": tries,
        "try_epoch": context.head.height + retry_pause_compute(tries, window=context.network.proving.window),
    }


def failed_try_record(post: WindowPost, *, context: ProvingContext, reason: str, **data: Any) -> None:
    """Note that a try came to nothing, and when the next one follows."""
    note_record(post, context=context, text=reason)
    post_update(post, error=reason, **retry_schedule(post, context=context), **data)


def note_record(post: WindowPost, *, context: ProvingContext, text: str, is_error: bool = True) -> None:
    """Write down what was tried, for the pages."""
    if post.notes.count() < NOTES_MAX:
        PostNote.objects.create(
            post=post, at=context.now, epoch=context.head.height, words=text, is_error=is_error
        )
