"""Noting until when the chain takes pieces under their terms."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from apps.chain.errors import NodeRefused
from apps.pieces.models import Piece
from apps.pieces.onchain import terms_epoch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.chain.node.client import ChainClient


def terms_epochs_note(client: ChainClient, *, pieces: Sequence[Piece], key: str) -> None:
    """Note until when the chain takes pieces whose terms were not read yet; once for each.

    What the node does not report now is read at the next head.
    """
    for piece in pieces:
        if piece.terms_epoch is None and (piece.allocation is not None or piece.deal is not None):
            with suppress(NodeRefused):
                piece.terms_epoch = terms_epoch(client, piece, key=key)
                Piece.objects.filter(pk=piece.pk).update(terms_epoch=piece.terms_epoch)
