"""Checks that a person requests: one sector's files, and a deadline's complete proof that is not sent."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Collection
from typing import Any

from django.db import transaction

from apps.core.errors import NotAllowed, NotFound
from apps.core.formatting import plural_kept
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.miners.models import Miner
from apps.miners.onchain.partition_facts import partitions_read
from apps.proving.errors import CheckUnavailable
from apps.proving.models import CheckRun, Deadline, Partition, WindowPost
from apps.proving.rules.proof_coverage import (
    posted_partitions_most,
    proof_order_build,
    provable_sectors_select,
)
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.services.checks import checkers_list, sector_stores_find, store_uids_read
from apps.proving.services.jobs import Window, check_job_create, job_create, onchain_sectors_read
from apps.proving.services.offers import offer_find
from apps.proving.states import CheckKind, CheckState, PostState
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.wire.job_inputs import ProvenSector

TEST_S = 120
"""Longest wait for the check of one sector."""


def sector_test(miner: Miner, *, number: int, principal: Principal, context: ProvingContext) -> CheckRun:
    """Request that a host in charge checks one sector's files and opens one random leaf.

    Raises NotAllowed, NotFound for a sector that is in no deadline, CheckUnavailable.
    """
    _require_write(principal)
    parts = Partition.objects.filter(deadline__miner=miner, live__contains=[number])
    part = parts.select_related("deadline").first()
    if part is None:
        raise NotFound(
            gettext("{miner} has no live sector {number} in a deadline").format(miner=miner, number=number)
        )
    provers = checkers_list(miner, context=context)
    [stores] = sector_stores_find(miner, numbers=[number], provers=provers).values()
    places = [prover.pk for prover in provers if set(prover.stores) & set(stores)]
    if not places:
        raise CheckUnavailable(gettext("no online host that checks sectors has its store"))
    onchain = onchain_sectors_read(context.client, miner=miner, numbers=[number], key=context.head.key)
    if number not in onchain:
        raise NotFound(
            gettext("sector {number} of {miner} is not on chain").format(number=number, miner=miner)
        )
    with transaction.atomic():
        deadline = Deadline.objects.select_for_update().get(pk=part.deadline_id)
        _require_none(deadline, CheckKind.TEST, sectors=[number])
        run = _run(deadline, CheckKind.TEST, principal, partitions=[part.index], sectors=[number])
        run.store = stores[0] if len(stores) == 1 else ""
        run.job = check_job_create(
            miner,
            sectors=[onchain[number]],
            per_second=0,
            window=_soon(deadline, TEST_S, context),
            now=context.now,
            offered_to=places,
            store=store_uids_read(miner, names=[run.store]).get(run.store, ""),
        )
        run.save()
        after = {"sector": number, "deadline": deadline.index}
        audit_record(
            principal=principal, action="proving.sector_test", target=miner.address, before=None, after=after
        )
    publish(Change("deadline", deadline.pk, miner.tenant_id))
    return run


def deadline_dry_run(
    miner: Miner, *, index: int, principal: Principal, context: ProvingContext, only: int | None = None
) -> list[CheckRun]:
    """Request the whole proof of a deadline as for its window, by a throw-away challenge, and do not send it.

    With `only` that of one partition.

    Raises NotAllowed, NotFound for a deadline without sectors, CheckUnavailable while a window is proved.
    """
    _require_write(principal)
    deadline = Deadline.objects.filter(miner=miner, index=index, live__gt=0).first()
    if deadline is None:
        raise NotFound(gettext("{miner} has no sectors in deadline {index}").format(miner=miner, index=index))
    busy = WindowPost.objects.filter(miner__tenant_id=miner.tenant_id, state=PostState.PROVING)
    if busy.exists():
        raise CheckUnavailable(
            gettext("a window is being proved and needs the hosts: try again once it has landed")
        )
    plans = _dry_run_plans(miner, index=index, only=only, context=context)
    window_s = context.network.proving.window * context.network.epoch_s
    with transaction.atomic():
        deadline = Deadline.objects.select_for_update().get(pk=deadline.pk)
        _require_none(deadline, CheckKind.DRY_RUN, partitions=[at for covered, _ in plans for at in covered])
        runs = []
        for covered, sectors in plans:
            numbers = sorted({sector.number for sector in sectors})
            run = _run(deadline, CheckKind.DRY_RUN, principal, partitions=covered, sectors=numbers)
            run.job = job_create(
                miner,
                sectors=sectors,
                randomness=secrets.token_bytes(31) + b"\x00",  # a field element, as the chain's randomness is
                window=_soon(deadline, window_s, context),
                time_sensitive=False,
                now=context.now,
                offered_to=offer_find(miner, numbers=numbers, failures=Counter(), context=context),
            )
            run.save()
            runs.append(run)
        after = {"deadline": index, "proofs": plural_kept(len(runs), "proof")}
        audit_record(
            principal=principal, action="proving.dry_run", target=miner.address, before=None, after=after
        )
    publish(Change("deadline", deadline.pk, miner.tenant_id))
    return runs


def _dry_run_plans(
    miner: Miner, *, index: int, only: int | None, context: ProvingContext
) -> list[tuple[list[int], list[ProvenSector]]]:
    """Return the partitions and sectors of each proof that a deadline's window takes, `only` one partition's.

    Raises NotFound.
    """
    facts = partitions_read(context.client, miner.address, [index], context.head.key)[index]
    wanted = range(len(facts)) if only is None else [only]
    provable = [
        at for at, part in enumerate(facts) if at in wanted and provable_sectors_select(part, skipped=())
    ]
    if not provable:
        raise NotFound(
            gettext("deadline {index} of {miner} has no sectors that can be proved").format(
                index=index, miner=miner
            )
        )
    most = posted_partitions_most(miner.sector_size, network=context.network)
    plans = []
    for at in range(0, len(provable), most):
        order, covered = proof_order_build(facts, post=WindowPost(partitions=provable[at : at + most]))
        known = onchain_sectors_read(
            context.client, miner=miner, numbers=sorted(set(order)), key=context.head.key
        )
        plans.append((covered, [known[number] for number in order if number in known]))
    return plans


def _require_write(principal: Principal) -> None:
    if not principal.may("write"):
        raise NotAllowed(gettext("requires the write permission"))


def _require_none(
    deadline: Deadline, kind: CheckKind, *, partitions: Collection[int] = (), sectors: Collection[int] = ()
) -> None:
    """Raise CheckUnavailable if one of these partitions or sectors is being checked in this way."""
    running = CheckRun.objects.filter(
        miner=deadline.miner_id, deadline_index=deadline.index, kind=kind, state=CheckState.RUNNING
    )
    if any({*partitions} & {*run.partitions} or {*sectors} & {*run.sectors} for run in running):
        raise CheckUnavailable(gettext("one is already running"))


def _run(deadline: Deadline, kind: CheckKind, principal: Principal, **fields: Any) -> CheckRun:
    return CheckRun(
        miner=deadline.miner,
        kind=kind,
        deadline_index=deadline.index,
        open_epoch=deadline.open_epoch,
        count=len(fields["sectors"]),
        actor=principal.actor[:200],
        **fields,
    )


def _soon(deadline: Deadline, seconds: int, context: ProvingContext) -> Window:
    window_s = context.network.proving.window * context.network.epoch_s
    return Window(
        deadline=deadline.index, close_epoch=deadline.close_epoch, seconds_left=seconds, window_s=window_s
    )
