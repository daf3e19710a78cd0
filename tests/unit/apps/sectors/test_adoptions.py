"""Sectors that the chain has and the pool no row for: counted, adopted in portions, never given again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core.errors import NotAllowed
from apps.messages.services.recovery.detect import recovery_begin, restore_check
from apps.miners.errors import MinerNotReady
from apps.miners.models import ChainRoots, Miner
from apps.pieces.models import Piece
from apps.sectors.errors.adoptions import AdoptionRefused
from apps.sectors.models import ActiveSectors, Job, JobEvent, Sector, SectorAdoption
from apps.sectors.onchain.sectors import sectors_proven_read
from apps.sectors.reasons import ADOPTED
from apps.sectors.selectors.numbers import numbers_in_use
from apps.sectors.services.active import active_follow
from apps.sectors.services.adoptions import rows as adoptions
from apps.sectors.services.adoptions.plans import adoption_begin, adoption_cancel, adoption_plan
from apps.sectors.services.adoptions.rows import adoptions_follow
from apps.sectors.services.numbers import numbers_allocate
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.cids import commd_cid
from tests import factories
from tests.people import principal
from tests.unit.apps.sectors.adoptions import Chain, Killed, at_head, chain_of, comm_r_of
from tests.unit.apps.sectors.sealing import NOON

pytestmark = pytest.mark.django_db


@pytest.fixture
def miner() -> Miner:
    return factories.miner(1000, sector_size=2048, seal_proof=5)


def begin(miner: Miner, chain: Chain, wanted: Iterable[int] | None = None) -> SectorAdoption:
    field = None if wanted is None else bitfield_of(wanted)
    return adoption_begin(miner, numbers=field, work=at_head(chain), by=SYSTEM)


def numbers() -> list[int]:
    return list(Sector.objects.order_by("number").values_list("number", flat=True))


def test_sectors_without_a_row_are_counted_when_all_are_compared(miner: Miner) -> None:
    factories.sector(miner, number=4, state="PROVING")
    factories.sector(miner, number=5, state="ABORTED")
    chain = chain_of(4, 5, 7, 8, 9)
    chain.faulty = {9}
    roots = ChainRoots.objects.create(miner=miner, deadlines=factories.cid("a"))

    active_follow([roots], work=at_head(chain))
    assert Miner.objects.get(pk=miner.pk).unlisted_sectors == 3

    Sector.objects.create(
        miner=miner, tenant=miner.tenant, number=9, state="PROVING", stage_since=NOON, **SIZE
    )
    ActiveSectors.objects.update(compared_height=None)
    active_follow([roots], work=at_head(chain))
    assert Miner.objects.get(pk=miner.pk).unlisted_sectors == 2


SIZE = {"seal_proof": 5, "sector_size": 2048}


def test_rows_have_what_the_chain_says(miner: Miner) -> None:
    factories.sector(miner, number=3, state="PROVING", comm_r=b"r" * 32, store="s1")
    chain = chain_of(3, 6, 7, 8)
    chain.faulty = {8}
    made = begin(miner, chain)
    assert (made.state, made.total) == ("ROWS", 3)

    adoptions_follow(at_head(chain))

    row = Sector.objects.get(number=7)
    assert bytes(row.comm_r or b"") == comm_r_of(7)
    facts = (row.state, row.seal_proof, row.sector_size, row.activation, row.expiration, row.initial_pledge)
    assert facts == ("PROVING", 5, 2048, 107, 900_007, 7)
    assert (row.deadline, row.partition, row.active, row.tenant_id) == (1, 1, True, miner.tenant_id)
    assert not Sector.objects.get(number=8).active, "it is faulty"
    assert (row.comm_d, row.pieces) == (None, []), "nobody told what it holds"
    assert Job.objects.get(sector=row).state == "DONE"
    assert JobEvent.objects.get(job__sector=row).note == ADOPTED()
    assert bytes(Sector.objects.get(number=3).comm_r or b"") == b"r" * 32, "a row that is there stays"
    done = SectorAdoption.objects.get()
    assert (done.state, done.written, done.absent, done.unplaced) == ("DONE", 3, 0, 3)
    entry = AuditEntry.objects.get(action="sector.adopt")
    assert (entry.target, entry.after) == ("f01000", {"count": 3, "numbers": "6-8"})


def test_chosen_numbers_alone_are_adopted(miner: Miner) -> None:
    factories.sector(miner, number=6, state="PROVING")
    chain = chain_of(*range(3, 12))

    plan = adoption_plan(miner, numbers=bitfield_of([6, 8, 9, 500]), work=at_head(chain))
    assert (list(plan.numbers), plan.listed, list(plan.absent)) == ([8, 9], 1, [500])
    begin(miner, chain, [6, 8, 9, 500])
    adoptions_follow(at_head(chain))

    assert numbers() == [6, 8, 9]


def test_adopted_numbers_are_never_given_again(miner: Miner) -> None:
    chain = chain_of(0, 1, 3, 4)
    begin(miner, chain)
    adoptions_follow(at_head(chain))

    assert numbers_allocate(miner, count=3, now=NOON, allocated=[]) == [2, 5, 6]


def test_asked_again_it_is_the_same_and_then_there_is_nothing(miner: Miner) -> None:
    chain = chain_of(6, 7, 8)
    made = begin(miner, chain, [6, 7])
    assert begin(miner, chain, [7]).pk == made.pk
    adoptions_follow(at_head(chain))
    with pytest.raises(AdoptionRefused, match="these sectors are already recorded here"):
        begin(miner, chain, [6, 7])
    with pytest.raises(AdoptionRefused, match="not live on chain"):
        begin(miner, chain, [77])
    begin(miner, chain)
    adoptions_follow(at_head(chain))
    with pytest.raises(AdoptionRefused, match="all sectors of f01000 on chain"):
        begin(miner, chain)
    assert numbers() == [6, 7, 8]


def test_an_adoption_takes_in_what_is_asked_for_meanwhile(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoptions, "READ_MAX", 2)
    chain = chain_of(2, 6, 7, 8, 9)
    made = begin(miner, chain, [6, 7, 8, 9])
    adoptions.adoption_follow(SectorAdoption.objects.get(), work=at_head(chain), portions_max=1)
    assert numbers() == [6, 7]
    before = SectorAdoption.objects.get()

    assert begin(miner, chain, [2]).pk == made.pk
    adoptions.adoption_follow(before, work=at_head(chain), portions_max=9)
    assert numbers() == [6, 7], "whoever read it before leaves it to the next head"
    adoptions_follow(at_head(chain))

    assert numbers() == [2, 6, 7, 8, 9]
    row = SectorAdoption.objects.get()
    assert (row.total, row.written) == (5, 5)
    entries = AuditEntry.objects.filter(action="sector.adopt").order_by("pk")
    assert [(entry.after or {})["numbers"] for entry in entries] == ["6-9", "2"]


def test_portions_bound_what_one_head_writes(miner: Miner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adoptions, "READ_MAX", 4)
    chain = chain_of(*range(10))
    begin(miner, chain)
    row = SectorAdoption.objects.get()

    adoptions.adoption_follow(row, work=at_head(chain), portions_max=2)
    assert (numbers(), chain.asked) == (list(range(8)), [4, 4])
    adoptions.adoption_follow(SectorAdoption.objects.get(), work=at_head(chain), portions_max=2)

    assert (numbers(), chain.asked) == (list(range(10)), [4, 4, 2])
    assert SectorAdoption.objects.get().written == 10


def test_a_portion_costs_as_many_queries_however_large(miner: Miner) -> None:
    counts = []
    for numbers_now in (range(3), range(3, 9), range(9, 400)):
        chain = chain_of(*numbers_now)
        begin(miner, chain)
        with CaptureQueriesContext(connection) as queries:
            adoptions_follow(at_head(chain))
        counts.append(len(queries))
    assert counts[1] == counts[2], "the first one makes the row of the miner's numbers, too"


def rows_read() -> int:
    """How many rows of sectors this transaction has read so far, by index or in order."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables"
            " WHERE relname = 'sectors_sector'"
        )
        [(count,)] = cursor.fetchall()
    return int(count)


def test_a_head_reads_no_more_rows_the_more_sectors_there_are(miner: Miner) -> None:
    many = [
        Sector(miner=miner, tenant=miner.tenant, number=number, state="PROVING", stage_since=NOON, **SIZE)
        for number in range(5_000)
    ]
    Sector.objects.bulk_create(many)
    chain = chain_of(*range(5_600))
    row = begin(miner, chain)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE sectors_sector")
        # 500 of so few rows cost by the index about what all of them cost in order: what earlier tests left
        # dead would decide.  Whoever asks for all of them reads all of them by the index, too.
        cursor.execute("SET LOCAL enable_seqscan = off")
    before = rows_read()

    for written in (500, 600):
        fresh = SectorAdoption.objects.get(pk=row.pk)
        adoptions.rows_write(fresh, work=at_head(chain), portions_max=1)
        assert SectorAdoption.objects.get().written == written
    assert rows_read() - before < 1_000, "of 5,600, of which the pool had 5,000"
    assert chain.asked == [500, 100]
    before = rows_read()
    numbers_in_use(miner)
    assert rows_read() - before >= 5_600, "which is what each head read before"


@pytest.mark.django_db(transaction=True)
def test_killed_at_any_query_it_goes_on_and_writes_nothing_twice(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoptions, "READ_MAX", 3)
    chain = chain_of(*range(6))
    begin(miner, chain)
    kills = 0
    while True:
        left = kills

        def die(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return execute(sql, params, many, context)

        try:
            with connection.execute_wrapper(die):
                adoptions_follow(at_head(chain))
        except Killed:
            kills += 1
            assert kills < 500
            continue
        if SectorAdoption.objects.get().state == "DONE":
            break
    row = SectorAdoption.objects.get()
    assert (row.written, row.absent, numbers()) == (6, 0, list(range(6)))
    assert kills > 20
    assert Job.objects.count() == JobEvent.objects.count() == 6


def test_a_sector_that_gets_its_row_meanwhile_is_left_alone(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = chain_of(6, 7)
    begin(miner, chain)

    def read(*given: Any) -> Any:
        factories.sector(miner, number=6, state="PROVING", expiration=5)
        return sectors_proven_read(*given)

    monkeypatch.setattr(adoptions, "sectors_proven_read", read)
    adoptions_follow(at_head(chain))

    assert Sector.objects.get(number=6).expiration == 5
    row = SectorAdoption.objects.get()
    assert (row.written, row.absent) == (1, 1)


def test_what_a_client_s_piece_fills_is_known_and_other_data_is_not(miner: Miner) -> None:
    chain = chain_of(6, 7)
    comm_p = b"p" * 31 + b"\0"

    def claim(sector: int, size: int) -> dict[str, Any]:
        facts = {"TermMin": 1, "TermMax": 10, "TermStart": 5, "Provider": 1000, "Client": 1234}
        return facts | {"Sector": sector, "Size": size, "Data": {"/": str(commd_cid(comm_p))}}

    chain.claims = {"41": claim(6, 2048), "42": claim(7, 1024)}
    begin(miner, chain)
    adoptions_follow(at_head(chain))

    whole, part = Sector.objects.get(number=6), Sector.objects.get(number=7)
    assert bytes(whole.comm_d or b"") == comm_p
    assert [piece["size"] for piece in whole.pieces] == [2048]
    assert (part.comm_d, part.pieces) == (None, [])
    piece = Piece.objects.get()
    assert (piece.sector_number, piece.offset, piece.client, piece.allocation) == (6, 0, 1234, 41)
    assert not piece.has_data


def test_a_cancelled_one_writes_no_more(miner: Miner) -> None:
    chain = chain_of(6, 7)
    made = begin(miner, chain)
    adoption_cancel(miner, row=made, by=SYSTEM, now=NOON)
    adoptions_follow(at_head(chain))

    assert numbers() == []
    assert AuditEntry.objects.filter(action="sector.adopt-cancel").count() == 1
    assert begin(miner, chain).pk != made.pk


def test_who_may_not_sign_and_what_is_read_back_is_refused(miner: Miner) -> None:
    chain = chain_of(6)
    with pytest.raises(NotAllowed):
        adoption_begin(miner, numbers=None, work=at_head(chain), by=principal("alice", "read"))
    begin(miner, chain)
    restore_check(now=NOON)
    recovery_begin("restored", now=NOON)
    adoptions_follow(at_head(chain))
    assert numbers() == [], "its sectors are read back first"
    with pytest.raises(MinerNotReady):
        begin(miner, chain)


def test_a_miner_that_went_to_another_tenant_takes_its_rows_along(miner: Miner) -> None:
    chain = chain_of(6)
    begin(miner, chain)
    other = factories.miner(1001, of="bob").tenant
    Miner.objects.filter(pk=miner.pk).update(tenant=other)
    adoptions_follow(at_head(chain))

    assert Sector.objects.get().tenant_id == other.pk
