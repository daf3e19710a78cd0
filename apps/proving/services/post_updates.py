"""Changes of a window's proof that are no step of its table, and the word of every change."""

from __future__ import annotations

from typing import Any

from apps.core.live import Change, publish
from apps.core.transitions import update_returning
from apps.proving.models import WindowPost
from apps.proving.selectors.deadlines import deadline_keys


def post_publish(post: WindowPost) -> None:
    """Publish that a window's proof has moved."""
    for key in deadline_keys(post.miner_id, index=post.deadline_index):
        publish(Change("deadline", key, post.miner.tenant_id))


def post_update(post: WindowPost, **data: Any) -> None:
    """Store what changes without a step, and publish it."""
    update_returning(post, WindowPost.objects.filter(pk=post.pk), **data)
    post_publish(post)
