"""Changes of a window's proof that are no step of its table, and the word of every change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from apps.core.live import Change, publish_all
from apps.core.transitions import update_returning
from apps.proving.models import WindowPost
from apps.proving.selectors.deadlines import deadlines_known

NOT_MOVED: Final = "post_not_moved"
"""Event of a proof with which something went wrong: the next head tries again."""


def post_publish(post: WindowPost) -> None:
    """Publish that a window's proof has moved."""
    posts_publish([post])


def posts_publish(posts: Sequence[WindowPost]) -> None:
    """Publish that the proofs of some windows have moved."""
    if posts:
        tenants = {(post.miner_id, post.deadline_index): post.miner.tenant_id for post in posts}
        known = deadlines_known({miner for miner, _ in tenants}, indexes={index for _, index in tenants})
        publish_all(
            [Change("deadline", known[place], tenant) for place, tenant in tenants.items() if place in known]
        )


def post_update(post: WindowPost, **data: Any) -> None:
    """Store what changes without a step, and publish it."""
    update_returning(post, WindowPost.objects.filter(pk=post.pk), **data)
    post_publish(post)
