"""Changes of a window's proof that are no step of its table, and the word of every change."""

from __future__ import annotations

from typing import Any

from apps.core.live import Change, publish
from apps.proving.models import WindowPost


def publish_post(post: WindowPost) -> None:
    """Publish that a window's proof has moved."""
    deadline = post.miner.deadlines.filter(index=post.deadline_index).first()
    if deadline is not None:
        publish(Change("deadline", deadline.pk, post.miner.tenant_id))


def post_update(post: WindowPost, **data: Any) -> None:
    """Store what changes without a step, and tell of it."""
    WindowPost.objects.filter(pk=post.pk).update(**data)
    post.refresh_from_db()
    publish_post(post)
