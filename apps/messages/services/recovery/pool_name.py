"""The pool's name at its signers, which a restored database has, too."""

from __future__ import annotations

from apps.messages.models import Recovery


def pool_name_get() -> str:
    """Return the pool's name at its signers; the first caller of a new database draws it."""
    known = Recovery.objects.filter(pk=1).values_list("pool", flat=True).first()
    return str(known or Recovery.objects.get_or_create(pk=1)[0].pool)
