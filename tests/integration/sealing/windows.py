"""Sectors whose files are hidden and brought back around their window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from apps.messages.models import Message
from apps.miners.models import Miner
from apps.proving.models import WindowPost
from apps.sectors.models import Sector
from poolsite.filecoin.porep.parameters import seal_parameters
from tests.integration.sealing.world import PERIOD, World, active_on_chain


def hidden(world: World, miner: Miner, sectors: Sequence[Sector]) -> list[tuple[Path, Path]]:
    """Put sealed files away; gives where they lie and where they belong."""
    moved = []
    for sector in sectors:
        parameters = seal_parameters(sector.seal_proof)
        files = world.store.files(parameters, miner_id=miner.actor_id or 0, number=sector.number)
        away = files.sealed.with_name(f"{files.sealed.name}.away")
        files.sealed.rename(away)
        moved.append((away, files.sealed))
    return moved


def brought_back(moved: Sequence[tuple[Path, Path]]) -> None:
    """Put them back."""
    for away, place in moved:
        away.rename(place)


def landed(post: WindowPost) -> WindowPost:
    """A proof that is on chain, sent once."""
    post.refresh_from_db()
    message = Message.objects.get(pk=post.message_id)
    assert (post.state, post.messages_sent, message.state, message.exit_code) == ("LANDED", 1, "LANDED", 0)
    return post


def next_post(world: World, miner: Miner, *, states: Sequence[str] = ("PROVING",)) -> WindowPost:
    """Wait for the next window's proof to be in one of these states."""
    known = set(WindowPost.objects.values_list("pk", flat=True))
    rows = WindowPost.objects.filter(miner=miner, state__in=states).exclude(pk__in=known)
    world.until(rows.exists, epochs=PERIOD + 10)
    return rows.get()


def require_all_active(world: World, miner: Miner, sectors: Sequence[Sector]) -> None:
    """No sector became faulty, seen after the next window's end."""
    world.epoch(12, stride=2)
    assert active_on_chain(world, miner) == [sector.number for sector in sectors]


def fresh_post(post: WindowPost) -> WindowPost:
    """The proof as its row is now."""
    post.refresh_from_db()
    return post
