"""Noting the terms of pieces: until when the chain takes them, and how long their sectors must live."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from apps.chain.errors import NodeRefused
from apps.pieces.models import Piece
from apps.pieces.onchain import terms_read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.chain.node.client import ChainClient


def terms_note(client: ChainClient, *, pieces: Iterable[Piece], key: str) -> None:
    """Note the terms of pieces that were not read yet; once for each, as they never change.

    What the node does not report now is read at the next head.
    """
    for piece in pieces:
        if piece.has_unread_terms:
            with suppress(NodeRefused):
                terms = terms_read(client, piece, key=key)
                for name, value in terms.items():
                    setattr(piece, name, value)
                Piece.objects.filter(pk=piece.pk).update(**terms)
