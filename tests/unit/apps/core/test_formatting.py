"""Numbers look the same everywhere."""

from __future__ import annotations

import pytest

from apps.core import formatting

FIL = 10**18
NANO = 10**9


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (999, "999"),
        (1000, "1\u202f000"),
        (6_562_566, "6\u202f562\u202f566"),
        (-1234, "-1\u202f234"),
    ],
)
def test_thousands_are_parted_by_a_narrow_space(value, text):
    assert formatting.whole(value) == text


@pytest.mark.parametrize(
    ("atto", "text"),
    [
        (None, "–"),
        (0, "0"),
        (39 * FIL // 1000, "0.0390"),
        (25 * FIL, "25.0000"),
        (1234 * FIL, "1\u202f234.0000"),
        (-5 * FIL // 2, "-2.5000"),
        (-FIL // 2, "-0.5000"),
        (5 * 10**13, "0.00005"),
        (10**12, "0.000001"),
        (10**11, "< 0.000001"),
        (1, "< 0.000001"),
        (-684, "> -0.000001"),
    ],
)
def test_fil_has_four_places_and_is_never_rounded_to_nothing(atto, text):
    assert formatting.fil(atto) == text


@pytest.mark.parametrize(
    ("atto", "text"),
    [
        (None, "–"),
        (0, "0 FIL"),
        (1, "1 aFIL"),
        (999_999, "999\u202f999 aFIL"),
        (27 * NANO, "27.000 nFIL"),
        (-27 * NANO, "-27.000 nFIL"),
        (10**12, "0.000001 FIL"),
        (43 * FIL // 1000, "0.0430 FIL"),
    ],
)
def test_an_amount_stands_in_the_unit_in_which_it_can_be_read(atto, text):
    assert formatting.amount_text(atto) == text


def test_amounts_that_are_compared_stand_in_one_unit():
    assert formatting.amounts_text(265_120, 3_181_440) == ["265\u202f120 aFIL", "3\u202f181\u202f440 aFIL"]
    assert formatting.amounts_text(5 * NANO, 5_000 * NANO) == ["5.000 nFIL", "5\u202f000.000 nFIL"]
    assert formatting.amounts_text(FIL, 0) == ["1.0000 FIL", "0 FIL"]
    assert formatting.amounts_text(0, 0) == ["0 FIL", "0 FIL"]


def test_a_tile_gives_large_amounts_without_places():
    assert formatting.amount_short(12_345 * FIL + 1) == ("12\u202f345", "FIL")
    assert formatting.amount_short(5) == ("5", "aFIL")


@pytest.mark.parametrize(
    ("atto", "text"),
    [
        (None, "–"),
        (999 * FIL, "999.0000"),
        (9999 * FIL - 1, "9\u202f998"),
        (-5000 * FIL, "-5\u202f000.0000"),
    ],
)
def test_a_tile_has_no_room_for_the_places_of_large_amounts(atto, text):
    assert formatting.fil_short(atto) == text


@pytest.mark.parametrize(
    ("atto", "text"),
    [
        (None, "–"),
        (0, "0 nFIL"),
        (100, "100 aFIL"),
        (999_999, "999\u202f999 aFIL"),
        (NANO // 1000, "0.00100 nFIL"),
        (1514 * NANO // 1_000_000, "0.00151 nFIL"),
        (1893 * NANO // 1_000_000, "0.00189 nFIL"),
        (10_449 * NANO // 1_000_000, "0.0104 nFIL"),
        (104 * NANO // 1000, "0.104 nFIL"),
        (2 * NANO, "2.000 nFIL"),
    ],
)
def test_a_fee_names_its_unit(atto, text):
    assert formatting.fee_text(atto) == text


@pytest.mark.parametrize(
    ("atto", "text"),
    [
        *((None, "–"), (0, "0 nFIL"), (1, "0.000000001 nFIL"), (100, "0.000000100 nFIL")),
        *((999_999, "0.000999999 nFIL"), (NANO // 1000, "0.00100 nFIL"), (2 * NANO, "2.000 nFIL")),
    ],
)
def test_a_column_of_fees_has_one_unit(atto, text):
    assert formatting.fee_nano(atto) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, ("–", "")),
        (0, ("0", "B")),
        (2048, ("2", "KiB")),
        (32 << 30, ("32", "GiB")),
        (10 * (1 << 50) + (1 << 49), ("10.50", "PiB")),
        (-2048, ("-2", "KiB")),
        (1 << 74, ("16384", "EiB")),
    ],
)
def test_sizes_are_binary(count, text):
    assert formatting.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (-3, "0 s"),
        (0, "0 s"),
        (8, "8 s"),
        (61, "1 min 01 s"),
        (12 * 60 + 30, "12 min"),
        (2 * 3600 + 5 * 60, "2 h 05"),
        (23 * 86_400 + 2 * 3600, "23 d 02 h"),
    ],
)
def test_time_left_is_as_exact_as_it_matters(seconds, text):
    assert formatting.time_left(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.031, "31 ms"),
        (4.2, "4.2 s"),
        (42, "42 s"),
        (21 * 60 + 40, "21:40"),
        (13_198, "3:39:58"),
    ],
)
def test_durations_read_like_a_clock(seconds, text):
    assert formatting.duration(seconds) == text


def test_a_part_of_nothing_is_not_known():
    assert formatting.percent(1, 0) == "–"


def test_percent_has_a_space():
    assert formatting.percent(0.375, 1) == "38\u202f%"


def test_long_ids_lose_their_middle():
    assert formatting.shortened("f3vxabcdefghijklmnop91ka") == "f3vx…91ka"


def test_short_ids_stay_whole():
    assert formatting.shortened("f01234567890"[:12]) == "f01234567890"
