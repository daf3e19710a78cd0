"""Reading UUIDs that others give: a database would answer any other text with an error."""

from __future__ import annotations

from uuid import UUID


def uuid_read(text: str) -> UUID | None:
    """Return a UUID; None for what is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def is_uuid(text: str) -> bool:
    """Return whether a text is a UUID."""
    return uuid_read(text) is not None
