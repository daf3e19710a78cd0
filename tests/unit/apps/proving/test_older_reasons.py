"""Rows from before reasons had codes, as in a restored backup, say the same with theirs."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import pytest
from django.apps import apps

from apps.core.clock import now
from apps.core.reasons import code_of
from apps.proving.models import PostNote, WindowPost
from tests import factories

pytestmark = pytest.mark.django_db

TEXTS: Final = {
    "the chain already has the proof": "proving.on_chain",
    "no proof was made: the lease of rack-b expired": "proving.no_proof_made",
    "no progress on r-b since epoch 7 (3 of 9 sectors): cancelled and offered again": "proving.offered_again",
    "sectors 1, 2, 3 and 4 more can be read again: proving again with them": "proving.read_again",
    "not sent: no node answers: n1, n2": "proving.not_sent",
    "the message was failed": "proving.message_was",
    "partition 0, 1: files of sectors [1, 2] cannot be read": "proving.of_partition",
    "files of sectors [7] cannot be read; the chain no longer has the proof": "core.clauses",
    "the lease of rack-b expired": "miners.lease_expired",
    "GasEstimateMessageGas error: 16": "core.old",
}
"""Texts as services wrote them, with the codes that they get."""


def test_older_rows_are_shown_in_the_same_words() -> None:
    miner = factories.miner()
    row = factories.deadline(miner, open_epoch=10, live=1)
    post = WindowPost.objects.create(
        miner=miner,
        deadline_index=row.index,
        open_epoch=10,
        close_epoch=20,
        challenge_epoch=5,
        partitions=[0],
        randomness=b"r",
    )
    PostNote.objects.bulk_create(PostNote(post=post, at=now(), epoch=11, words=text) for text in TEXTS)

    import_module("apps.proving.migrations.0007_reasons_of_older_rows").reasons_code(apps, None)

    notes = list(PostNote.objects.order_by("pk"))
    assert {note.words: code_of(note.words) for note in notes} == TEXTS
