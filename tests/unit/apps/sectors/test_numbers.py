"""Sector numbers: unique, never used twice, none that the chain has given out."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from apps.messages.models import Recovery
from apps.messages.services.recovery.detect import recovery_begin, restore_check
from apps.sectors.errors.numbers import NumbersExhausted
from apps.sectors.models import NumberReservation, SectorNumbers
from apps.sectors.services.numbers import NUMBER_MAX, RESTORE_SKIP, numbers_allocate
from poolsite.filecoin.bitfield import bitfield_of, bitfield_to_json
from tests import factories
from tests.unit.apps.sectors.sealing import NOON


@pytest.mark.django_db
def test_numbers_follow_one_another() -> None:
    miner = factories.miner()

    assert numbers_allocate(miner, count=3, now=NOON, allocated=[]) == [0, 1, 2]
    assert numbers_allocate(miner, count=2, now=NOON, allocated=[]) == [3, 4]


@pytest.mark.django_db
def test_numbers_of_the_chain_are_passed_over() -> None:
    miner = factories.miner()

    assert numbers_allocate(miner, count=4, now=NOON, allocated=[range(5, 9), range(2)]) == [2, 3, 4, 9]


@pytest.mark.django_db
def test_counters_own_number_is_passed_over_where_something_has_it() -> None:
    of_sector, on_host, reserved = factories.miner(), factories.miner(), factories.miner()
    factories.sector(of_sector, number=0)
    SectorNumbers.objects.create(miner=on_host, on_hosts=bitfield_to_json(bitfield_of([0, 2])))
    NumberReservation.objects.create(miner=reserved, name="sealer", runs=[0, 1], count=1, last=0)

    given = [
        numbers_allocate(miner, count=2, now=NOON, allocated=[]) for miner in (of_sector, on_host, reserved)
    ]

    assert given == [[1, 2], [1, 3], [1, 2]]


@pytest.mark.django_db
def test_each_miner_counts_for_itself() -> None:
    numbers_allocate(factories.miner(), count=5, now=NOON, allocated=[])

    assert numbers_allocate(factories.miner(), count=1, now=NOON, allocated=[]) == [0]


@pytest.mark.django_db
def test_a_miner_without_free_numbers_is_told() -> None:
    miner = factories.miner()
    SectorNumbers.objects.create(miner=miner, next_number=NUMBER_MAX)
    numbers_allocate(miner, count=1, now=NOON, allocated=[])

    with pytest.raises(NumbersExhausted):
        numbers_allocate(miner, count=1, now=NOON, allocated=[])


class NumbersProperty(TestCase):
    """The allocator against the obvious rule."""

    @given(
        st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=5),
        st.lists(st.integers(1, 5), min_size=1, max_size=5),
    )
    def test_it_never_repeats_and_never_takes_what_is_taken(
        self, spans: list[tuple[int, int]], counts: list[int]
    ) -> None:
        miner = factories.miner()
        taken = [range(start, start + length) for start, length in spans]

        given = [
            number
            for count in counts
            for number in numbers_allocate(miner, count=count, now=NOON, allocated=taken)
        ]

        used = {number for span in taken for number in span}
        assert given == sorted(set(given))
        assert given == [number for number in range(200) if number not in used][: len(given)]


@pytest.mark.django_db(transaction=True)
def test_two_askers_at_once_get_different_numbers() -> None:
    miner = factories.miner()
    got: list[int] = []
    gate = threading.Barrier(4)

    def ask() -> None:
        gate.wait()
        got.extend(numbers_allocate(miner, count=5, now=NOON, allocated=[]))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(got) == list(range(20))


@pytest.mark.django_db
def test_restored_pool_skips_numbers_that_hosts_may_have_files_of() -> None:
    miner = factories.miner()
    assert numbers_allocate(miner, count=2, now=NOON, allocated=[]) == [0, 1]

    recovery_begin("restored", now=NOON)

    assert numbers_allocate(miner, count=2, now=NOON, allocated=[]) == [2 + RESTORE_SKIP, 3 + RESTORE_SKIP]
    assert numbers_allocate(miner, count=1, now=NOON, allocated=[]) == [4 + RESTORE_SKIP]

    recovery_begin("restored again", now=NOON + timedelta(hours=1))

    assert numbers_allocate(miner, count=1, now=NOON, allocated=[]) == [5 + 2 * RESTORE_SKIP]


@pytest.mark.django_db
def test_numbers_asked_for_before_anything_else_notice_a_promoted_standby() -> None:
    miner = factories.miner()
    fingerprint = restore_check(now=NOON).fingerprint
    assert numbers_allocate(miner, count=1, now=NOON, allocated=[]) == [0]

    Recovery.objects.update(fingerprint=fingerprint | {"timeline": fingerprint["timeline"] + 1})

    assert numbers_allocate(miner, count=1, now=NOON, allocated=[]) == [1 + RESTORE_SKIP]
    assert Recovery.objects.get().since == NOON
