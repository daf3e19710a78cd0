"""Sectors' files are checked two deadlines before their faults must be declared, and once more if bad.

A check is a job like a proof: hosts in charge of the store read the files and open one random leaf of each
sector, at a set pace.  What was found is stored by store and sector.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import F, Q, QuerySet

from apps.chain.node.isolation import for_each_isolated
from apps.core.compiled import Compiled
from apps.core.live import Change, publish
from apps.miners.models import Miner
from apps.miners.states import MinerState
from apps.proving.models import CheckRun, Deadline, SectorCheck
from apps.proving.rules.policy import again_epochs, ahead_epochs, interval_epochs
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.selectors.faults import checks_outdated
from apps.proving.selectors.provers import provers_online
from apps.proving.selectors.settings import proving_policy
from apps.proving.services.jobs import check_job_create, jobs_expire, onchain_sectors_read, proof_window_build
from apps.proving.states import CheckKind, CheckState
from apps.sectors.models import Sector, Store, Worker
from apps.sectors.rules.policy import sealing_policy
from poolsite.wire.jobs import JobKind

RETENTION_DAYS: Final = 30
"""Checks that are older are deleted with the next one at the same deadline, and their jobs with them."""


def checks_begin(context: ProvingContext) -> None:
    """Begin the checks that are due at this head; a deadline that cannot be read holds up no other."""
    height, params = context.head.height, context.network.proving
    due = DUE.rows(height=height, ahead=height + ahead_epochs(params))
    for_each_isolated(due, lambda row: _checks_begin_ahead(row, context=context), event="check_not_begun")
    keys = set(CHECKS_BAD.rows(height=height + 1, again=height + again_epochs(params)))
    if not keys:
        return
    again = Deadline.objects.filter(pk__in=keys).select_related("miner__tenant").order_by("cutoff_epoch")
    for_each_isolated(again, lambda row: _checks_repeat(row, context=context), event="check_not_repeated")


DUE: Final[Compiled[Deadline]] = Compiled(
    "checks_due",
    lambda height, ahead: (
        Deadline.objects.filter(
            ~Q(checked_open=F("open_epoch")) | Q(checked_open=None),
            miner__state=MinerState.ACTIVE,
            live__gt=0,
            cutoff_epoch__gt=height,
            cutoff_epoch__lte=ahead,
        )
        .select_related("miner__tenant")
        .order_by("cutoff_epoch", "pk")
    ),
    height="bigint",
    ahead="bigint",
)
CHECKS_BAD: Final[Compiled[int]] = Compiled(
    "checks_bad",
    lambda height, again: SectorCheck.objects.filter(
        is_good=False,
        miner__state=MinerState.ACTIVE,
        miner__deadlines__index=F("deadline_index"),
        miner__deadlines__cutoff_epoch__gt=height,
        miner__deadlines__cutoff_epoch__lte=again,
    ).values_list("miner__deadlines__pk", flat=True),
    height="bigint",
    again="bigint",
)


def _checks_begin_ahead(deadline: Deadline, *, context: ProvingContext) -> int:
    """Begin checks of every sector that the next window must prove; return how many jobs that makes.

    A partition's store without a host in charge, or of which the check failed, is tried again until the
    cut-off: once something was checked for this window, only every `interval_epochs`.
    """
    is_between = context.head.height % interval_epochs(context.network.proving) > 0
    if is_between and _checks_of_window(deadline, CheckKind.AHEAD).exists():
        return 0
    provers = checkers_list(deadline.miner, context=context)
    if not provers:
        return 0
    wanted = {
        part.index: sorted(set(part.live) - set(part.faulty))
        for part in deadline.partitions.order_by("index")
    }
    numbers = [number for group in wanted.values() for number in group]
    stores = sector_stores_find(deadline.miner, numbers=numbers, provers=provers)
    runs = _runs(deadline, wanted, kind=CheckKind.AHEAD, stores=stores)
    count = _begin(deadline, runs, kind=CheckKind.AHEAD, provers=provers, context=context)
    if runs and not count:
        return 0
    before = context.now - timedelta(days=RETENTION_DAYS)
    old = CheckRun.objects.filter(miner=deadline.miner, deadline_index=deadline.index)
    old.filter(created_at__lt=before).delete()
    jobs_expire(deadline.miner, kinds=[JobKind.SECTOR_CHECK, JobKind.WINDOW_POST], before=before)
    bad = SectorCheck.objects.filter(miner=deadline.miner, deadline_index=deadline.index, is_good=False)
    SectorCheck.objects.filter(pk__in=[row.pk for row in checks_outdated(list(bad))]).delete()
    return count


def _checks_repeat(deadline: Deadline, *, context: ProvingContext) -> int:
    """Repeat the checks that found bad sectors, once before the cut-off and a while after the first."""
    provers = checkers_list(deadline.miner, context=context)
    rows = SectorCheck.objects.filter(
        miner=deadline.miner,
        deadline_index=deadline.index,
        is_good=False,
        height__lte=context.head.height - interval_epochs(context.network.proving),
    )
    since = deadline.cutoff_epoch - again_epochs(context.network.proving)
    unsure = [row for row in rows if row.bad_times < 2 or row.height < since]
    if not provers or not unsure or _is_recent(deadline, context):
        return 0
    stores: dict[int, tuple[str, ...]] = defaultdict(tuple)
    for row in unsure:
        stores[row.number] += (row.store,)
    parts = deadline.partitions.order_by("index")
    wanted = {part.index: sorted(stores.keys() & (set(part.live) - set(part.faulty))) for part in parts}
    runs = _runs(deadline, wanted, kind=CheckKind.AGAIN, stores=stores)
    return _begin(deadline, runs, kind=CheckKind.AGAIN, provers=provers, context=context)


def _is_recent(deadline: Deadline, context: ProvingContext) -> bool:
    """Return whether the last second check began just now, whatever became of it."""
    pause = timedelta(seconds=interval_epochs(context.network.proving) * context.network.epoch_s)
    same = CheckRun.objects.filter(miner=deadline.miner, deadline_index=deadline.index, kind=CheckKind.AGAIN)
    return same.filter(created_at__gt=context.now - pause).exists()


def checkers_list(miner: Miner, *, context: ProvingContext) -> list[Worker]:
    """Return the hosts of the miner's tenant that check sectors, and sent a heartbeat lately."""
    since = context.now - timedelta(seconds=sealing_policy().worker_away_s)
    return provers_online(tenant_id=miner.tenant_id, since=since, kind=JobKind.SECTOR_CHECK)


def _runs(
    deadline: Deadline, wanted: dict[int, list[int]], *, kind: CheckKind, stores: dict[int, tuple[str, ...]]
) -> list[CheckRun]:
    """Return the checks of these sectors, one for each partition and store."""
    runs: dict[tuple[int, str], CheckRun] = {}
    for index, numbers in wanted.items():
        for number in numbers:
            for store in stores[number]:
                run = runs.setdefault(
                    (index, store),
                    CheckRun(
                        miner=deadline.miner,
                        kind=kind,
                        deadline_index=deadline.index,
                        open_epoch=deadline.open_epoch,
                        partitions=[index],
                        store=store,
                    ),
                )
                run.sectors.append(number)
                run.count += 1
    return list(runs.values())


def sector_stores_find(
    miner: Miner, *, numbers: Iterable[int], provers: Iterable[Worker]
) -> dict[int, tuple[str, ...]]:
    """Return the stores in which sectors lie; those of which nobody knows may lie in any of the hosts'."""
    anywhere = tuple(sorted({store for prover in provers for store in prover.stores}))
    rows = Sector.objects.filter(miner=miner, number__in=numbers).exclude(store="")
    known = dict(rows.values_list("number", "store"))
    return {number: (known[number],) if number in known else anywhere for number in numbers}


def store_uids_read(miner: Miner, *, names: Collection[str]) -> dict[str, str]:
    """Return the identities of a miner's stores, by name."""
    rows = Store.objects.filter(tenant_id=miner.tenant_id, name__in=names)
    return dict(rows.values_list("name", "uid"))


def _places_checked(deadline: Deadline, kind: str) -> set[tuple[int, str]]:
    """Return the places of which a check of a kind runs, and of checks ahead those that are done."""
    states = [CheckState.RUNNING, *([CheckState.DONE] if kind == CheckKind.AHEAD else [])]
    return {_place(run) for run in _checks_of_window(deadline, kind).filter(state__in=states)}


def _checks_of_window(deadline: Deadline, kind: str) -> QuerySet[CheckRun]:
    """Return the checks of a kind for a deadline's window."""
    rows = CheckRun.objects.filter(miner=deadline.miner_id, deadline_index=deadline.index, kind=kind)
    return rows.filter(open_epoch=deadline.open_epoch)


def _place(run: CheckRun) -> tuple[int, str]:
    """Return partition and store of a check of one of each."""
    return run.partitions[0], run.store


def _begin(
    deadline: Deadline,
    runs: Sequence[CheckRun],
    *,
    kind: CheckKind,
    provers: list[Worker],
    context: ProvingContext,
) -> int:
    """Write checks of a kind and their jobs; a store that no host in charge has is left until one has.

    The deadline's sectors are checked ahead once each of these places is being checked, or was.
    """
    known = {store for prover in provers for store in prover.stores}
    checked = _places_checked(deadline, kind)
    able = [run for run in runs if run.store in known and _place(run) not in checked]
    numbers = sorted({number for run in able for number in run.sectors})
    onchain = {}
    if numbers:
        onchain = onchain_sectors_read(
            context.client, miner=deadline.miner, numbers=numbers, key=context.head.key
        )
    window = proof_window_build(deadline.index, close_epoch=deadline.cutoff_epoch, context=context)
    pace = proving_policy(deadline.miner_id).check_per_s
    uids = store_uids_read(deadline.miner, names={run.store for run in able})
    started = 0
    with transaction.atomic():
        # Two tasks may be here at once: the second waits for the first and finds its rows.
        row = Deadline.objects.select_for_update().get(pk=deadline.pk)
        if row.open_epoch != deadline.open_epoch or row.checked_open != deadline.checked_open:
            return 0
        checked = _places_checked(row, kind)
        for run in able:
            sectors = [onchain[number] for number in run.sectors if number in onchain]
            if not sectors or _place(run) in checked:
                continue
            run.job = check_job_create(
                deadline.miner,
                sectors=sectors,
                per_second=pace,
                window=window,
                now=context.now,
                offered_to=[prover.pk for prover in provers if run.store in prover.stores],
                store=uids.get(run.store, ""),
            )
            run.save()
            checked.add(_place(run))
            started += 1
        if kind == CheckKind.AHEAD:
            row.stores = sorted({run.store for run in runs})
            if checked.issuperset(map(_place, runs)):
                row.checked_open = row.open_epoch
            row.save(update_fields=["stores", "checked_open"])
    if started:
        publish(Change("deadline", deadline.pk, deadline.miner.tenant_id))
    return started
