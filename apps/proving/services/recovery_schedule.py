"""Choosing the faulty sectors that are checked now, to be declared recovered for the next window."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from apps.chain.node.isolation import for_each_isolated
from apps.core.locks import lock_in_turn
from apps.miners.models import Miner
from apps.proving.models import Deadline, Recovery
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.selectors.settings import proving_policy
from apps.proving.services.jobs import jobs_expire
from apps.proving.services.recoveries import LOCK_WAIT_S, OPEN, RECOVERY_LOCK, recovery_move_now
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.randomness import Tag, miner_entropy
from poolsite.wire.jobs import JobKind

TRY_AGAIN_S: Final = 30
"""Pause after files were found bad, before they are checked again; doubled with each failure for a window."""


def recoveries_begin(miner: Miner, *, context: ProvingContext) -> int:
    """Schedule checks of faulty sectors of every deadline that can still be declared for its next window.

    No more than the policy has for one deadline and window, in messages of so many as it has for one.
    """
    count = 0
    rows = Deadline.objects.filter(miner=miner, faulty__gt=0, cutoff_epoch__gt=context.head.height + 1)
    for deadline in rows.prefetch_related("partitions"):
        deadline.miner = miner
        if not miner.works_at(deadline.open_epoch):
            continue  # the program that proves the window declares what it recovers
        waiting = undeclared_faults_find(deadline)
        if any(_choose(deadline, waiting, context)):
            count += len(recoveries_start(deadline, waiting=waiting, context=context))
    return count


def undeclared_faults_find(deadline: Deadline) -> dict[int, set[int]]:
    """Return the faulty sectors of each partition that are not declared recovered."""
    return {part.index: set(part.faulty) - set(part.recovering) for part in deadline.partitions.all()}


def _choose(
    deadline: Deadline, waiting: dict[int, set[int]], context: ProvingContext, *, has_pauses: bool = True
) -> list[tuple[int, list[int]]]:
    """Return what is started now: a partition and some of its sectors for each message.

    Left alone is what is in progress, and for a while what failed for this window; it goes last, so that
    sectors whose files are missing do not take the others' room.  A recovery in progress goes on without the
    sectors whose files were bad: they failed.
    """
    policy = proving_policy(deadline.miner_id)
    same = Recovery.objects.filter(
        miner=deadline.miner_id, deadline_index=deadline.index, open_epoch=deadline.open_epoch
    )
    room = policy.recover_max
    failures: Counter[int] = Counter()
    failed_at: dict[int, datetime] = {}
    left = {index: set(numbers) for index, numbers in waiting.items()}
    fields = "partition_index", "state", "sectors", "good", "updated_at"
    for row in same.only(*fields).order_by("updated_at"):
        if row.state in OPEN:
            room -= len(row.good)
            for numbers in left.values():  # a compaction may have given their partition another number
                numbers.difference_update(row.good)
        failed = set(row.sectors).difference(row.good if row.state in OPEN else ())
        failures.update(failed)
        failed_at.update(dict.fromkeys(failed, row.updated_at))
    pauses = {count: _pause(count, deadline, context) for count in set(failures.values()) if has_pauses}
    paused = {
        number
        for number, at in failed_at.items()
        if has_pauses and at > context.now - pauses[failures[number]]
    }
    first = [(index, number) for index in sorted(left) for number in sorted(left[index] - paused)]
    first.sort(key=lambda one: one[1] in failures)
    chosen: dict[int, list[int]] = defaultdict(list)
    for index, number in first[: max(room, 0)]:
        chosen[index].append(number)
    size = policy.declaration_max
    return [
        (index, sorted(numbers)[at : at + size])
        for index, numbers in sorted(chosen.items())
        for at in range(0, len(numbers), size)
    ]


def _pause(failures: int, deadline: Deadline, context: ProvingContext) -> timedelta:
    """Return how long sectors are left alone that failed so often for the deadline's next window.

    At most a window, and half of the time until the cut-off: files that come back shortly before are found.
    """
    window_s = context.network.proving.window * context.network.epoch_s
    longest_s = min(window_s, context.seconds_until(deadline.cutoff_epoch) // 2)
    return timedelta(seconds=min(TRY_AGAIN_S * 2 ** (failures - 1), max(longest_s, TRY_AGAIN_S)))


def recoveries_start(
    deadline: Deadline,
    *,
    waiting: dict[int, set[int]],
    context: ProvingContext,
    by: Principal | None = None,
) -> list[Recovery]:
    """Start the missing recoveries of a deadline's sectors, by partition; without pauses if `by` a person."""
    miner = deadline.miner
    # Any challenge will do: nobody but us checks these proofs, it only has to be new.
    randomness = context.client.state_get_randomness_from_beacon(
        Tag.WINDOWED_POST_CHALLENGE_SEED,
        context.head.height,
        entropy=miner_entropy(address_parse(miner.address)),
        key=context.head.key,
    )
    with transaction.atomic():
        # Two tasks may be here at once: the second waits for the first and finds its rows.
        Deadline.objects.select_for_update().get(pk=deadline.pk)
        _closed_delete(deadline, context)
        started = [
            Recovery.objects.create(
                miner=miner,
                deadline_index=deadline.index,
                partition_index=partition,
                open_epoch=deadline.open_epoch,
                cutoff_epoch=deadline.cutoff_epoch,
                sectors=numbers,
                good=numbers,
                randomness=randomness,
            )
            for partition, numbers in _choose(deadline, waiting, context, has_pauses=by is None)
        ]
        if by is not None and started:
            after = {"deadline": deadline.index, "sectors": [one for row in started for one in row.sectors]}
            audit_record(
                principal=by, action="proving.recover", target=miner.address, before=None, after=after
            )
    with lock_in_turn(RECOVERY_LOCK, str(miner.pk), wait_s=LOCK_WAIT_S) as is_mine:
        # They are started whatever becomes of their first step: the next head goes on with them.
        for_each_isolated(
            started if is_mine else (),
            lambda recovery: recovery_move_now(recovery, context=context),
            event="recovery_not_moved",
        )
    return started


def _closed_delete(deadline: Deadline, context: ProvingContext) -> None:
    """Delete what ended of the deadline's earlier windows, and the miner's jobs that nothing refers to."""
    same = Recovery.objects.filter(miner=deadline.miner_id, deadline_index=deadline.index)
    deleted, _ = same.filter(open_epoch__lt=deadline.open_epoch).exclude(state__in=OPEN).delete()
    if deleted:
        jobs_expire(deadline.miner, kinds=[JobKind.WINDOW_POST], before=context.now)
