"""Other programs' words, as far as a database keeps them."""

from __future__ import annotations


def sanitize_text(text: str) -> str:
    """Return words without what PostgreSQL refuses: NUL, and halves of a character.

    A contract chooses the words with which it reverts, a tenant's signer those with which it refuses; one of
    them must stop nobody's queue.
    """
    return text.replace("\x00", "\u2400").encode(errors="replace").decode()
