"""A change of every kind that live pages of the busy pool follow."""

from __future__ import annotations

from apps.messages.models import Sender
from apps.proving.models import Deadline
from tests.demo_data import Pool


def changes(pool: Pool) -> set[tuple[str, str]]:
    """Return a change of every kind that this pool knows, with the keys of what changed."""
    deadline = Deadline.objects.get(miner=pool.miner, index=5)
    return {
        ("head", "1000"),
        ("miner", str(pool.miner.pk)),
        ("deadline", str(deadline.pk)),
        ("sector", str(pool.active.uuid)),
        ("sector", str(pool.paused.uuid)),
        ("job", str(pool.sealing.job.pk)),
        ("worker", str(pool.sealer.pk)),
        ("message", pool.landed.id),
        ("message", pool.flying.id),
        ("message", pool.stuck.id),
        ("messages", "all"),
        ("sender", str(Sender.objects.get(address=pool.wallet.address).pk)),
        ("guard", "1"),
        ("wallet", str(pool.wallet.pk)),
        ("signer", "x"),
        ("batch", str(pool.active.precommit_batch_id)),
        ("process", "web-1"),
        ("store", str(pool.store.uuid)),
        ("piece", str(pool.piece.uuid)),
        ("deal", str(pool.deal.uuid)),
    }
