"""Which windows are challenged, and the proofs that are started for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from django.db import transaction
from django.db.models import Max

from apps.core.compiled import Compiled
from apps.miners.models import Miner
from apps.miners.onchain.partition_facts import partitions_read
from apps.proving.models import WindowPost
from apps.proving.rules.proof_coverage import posted_partitions_most, provable_sectors_select, skipped_of
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.services.post_updates import posts_publish
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.deadlines import DeadlineInfo, current_deadline
from poolsite.filecoin.randomness import Tag, miner_entropy


def windows_open(miner: Miner, *, context: ProvingContext) -> list[DeadlineInfo]:
    """Return the miner's windows that are challenged and not closed: the open one, and the next one early.

    Those that another program proves are left to it.
    """
    if miner.proving_period_start is None:
        return []
    height, params = context.head.height, context.network.proving
    current = current_deadline(miner.proving_period_start, height, params)
    following = current_deadline(miner.proving_period_start, current.close, params).at(height)
    since = height - context.network.confidences.challenge
    found = [window for window in (current, following) if window.challenge <= since]
    return [window for window in found if miner.works_at(window.open)]


def unproved_windows_list(
    miners: Iterable[Miner], *, context: ProvingContext
) -> dict[Miner, list[DeadlineInfo]]:
    """Return the challenged windows that have no proof yet, by miner; asks the database once for all."""
    opened = {miner: windows_open(miner, context=context) for miner in miners}
    epochs = {one.open for windows in opened.values() for one in windows}
    with_posts = set(
        POSTS_STORED.rows(miners=[miner.pk for miner in opened], windows=list(epochs)) if epochs else ()
    )
    found = {
        miner: [one for one in windows if (miner.pk, one.index, one.open) not in with_posts]
        for miner, windows in opened.items()
    }
    return {miner: windows for miner, windows in found.items() if windows}


POSTS_STORED: Final[Compiled[tuple[int, int, int]]] = Compiled(
    "windows_with_posts",
    lambda miners, windows: WindowPost.objects.filter(
        miner_id__any=miners, open_epoch__any=windows
    ).values_list("miner", "deadline_index", "open_epoch"),
    miners="bigint[]",
    windows="bigint[]",
)


def partition_groups_list(miner: Miner, *, index: int, context: ProvingContext) -> list[list[int]]:
    """Return a deadline's partitions with something to prove, as many together as a message takes."""
    facts = partitions_read(context.client, miner.address, [index], context.head.key)[index]
    provable = [at for at, part in enumerate(facts) if provable_sectors_select(part, skipped=())]
    most = posted_partitions_most(miner.sector_size, network=context.network)
    return [provable[at : at + most] for at in range(0, len(provable), most)]


def posts_schedule(miner: Miner, *, windows: Sequence[DeadlineInfo], context: ProvingContext) -> int:
    """Make the proofs of a miner's challenged windows; returns how many are new."""
    planned = windows_plan(miner, windows=windows, context=context)
    return len(posts_begin({miner: planned}))


def windows_plan(
    miner: Miner, *, windows: Sequence[DeadlineInfo], context: ProvingContext
) -> list[WindowPost]:
    """Return the proofs of a miner's challenged windows, not stored yet."""
    return [
        WindowPost(
            miner=miner,
            deadline_index=window.index,
            open_epoch=window.open,
            close_epoch=window.close,
            challenge_epoch=window.challenge,
            part=part,
            partitions=group,
            randomness=challenge_draw(miner, epoch=window.challenge, context=context),
        )
        for window in windows
        for part, group in enumerate(partition_groups_list(miner, index=window.index, context=context))
    ]


@transaction.atomic
def posts_begin(planned: Mapping[Miner, Sequence[WindowPost]]) -> list[WindowPost]:
    """Store all proofs of windows, or none: a kill in between would leave partitions that nobody proves.

    Returns those stored.  A second task that has planned them too waits for the miners' locks and finds them.
    """
    miners = [miner for miner, posts in planned.items() if posts]
    if not miners:
        return []
    # Setting the height from which another program proves waits for these locks, or comes first.
    rows = Miner.objects.select_for_update(no_key=True).filter(pk__in=[miner.pk for miner in miners])
    now = {row.pk: row for row in rows.order_by("pk")}
    epochs = {post.open_epoch for miner in miners for post in planned[miner]}
    stored = set(POSTS_STORED.rows(miners=list(now), windows=list(epochs)))
    posts = [
        post
        for miner in miners
        for post in planned[miner]
        if miner.pk in now
        and now[miner.pk].works_at(post.open_epoch)
        and (miner.pk, post.deadline_index, post.open_epoch) not in stored
    ]
    WindowPost.objects.bulk_create(posts)
    posts_publish(posts)
    return posts


def post_split(post: WindowPost, *, groups: Sequence[list[int]], **data: Any) -> list[WindowPost]:
    """Split off partitions with a proof of their own, each group one, so that they do not hold up what stays.

    Nothing happens unless something stays.  `data` are columns of the new proofs.
    """
    split_off = {index for group in groups for index in group}
    with transaction.atomic():
        row = WindowPost.objects.select_for_update().get(pk=post.pk)
        if row.state != post.state or not split_off or not split_off < set(row.partitions):
            return []
        window = WindowPost.objects.filter(
            miner=row.miner_id, deadline_index=row.deadline_index, open_epoch=row.open_epoch
        )
        last = window.aggregate(last=Max("part"))["last"]
        made = [
            WindowPost.objects.create(
                miner=post.miner,
                deadline_index=row.deadline_index,
                open_epoch=row.open_epoch,
                close_epoch=row.close_epoch,
                challenge_epoch=row.challenge_epoch,
                part=last + place,
                partitions=group,
                skipped=skipped_of(group, skipped=row.skipped),
                randomness=bytes(row.randomness),
                **data,
            )
            for place, group in enumerate(groups, start=1)
        ]
        row.partitions = [index for index in row.partitions if index not in split_off]
        row.skipped = skipped_of(row.partitions, skipped=row.skipped)
        row.save(update_fields=["partitions", "skipped", "updated_at"])
    post.refresh_from_db()
    return made


def challenge_draw(miner: Miner, *, epoch: int, context: ProvingContext) -> bytes:
    """Draw a window's challenge from the beacon."""
    return context.client.state_get_randomness_from_beacon(
        Tag.WINDOWED_POST_CHALLENGE_SEED,
        max(epoch, 0),
        entropy=miner_entropy(address_parse(miner.address)),
        key=context.head.key,
    )
