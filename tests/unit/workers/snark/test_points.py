"""The points' kernels beside their twin over Python's integers."""

from __future__ import annotations

import random

import numpy as np
import pytest

from poolsite.filecoin.groth16.curve import g1_from_uncompressed, g2_from_uncompressed
from tests.naive import curve
from tests.unit.workers.snark.golden_circuits import golden_secrets
from workers.kernels.cpu import FORCE_VARIABLE
from workers.kernels.curve_fields import coordinate_rows
from workers.kernels.field import MODULUS, WORD_BITS, limbs
from workers.snark.multiexp import multiexp
from workers.snark.multiples import multiples
from workers.snark.points import G1, G2, BadPoints, point_compress, points_decode, points_encode

pytestmark = pytest.mark.xdist_group("snark")  # one worker compiles the kernels

GROUPS = (G1, G2)
EDGES = (0, 1, 2, MODULUS - 1, MODULUS - 2, 1 << 64, (1 << 128) - 1, (1 << 254) + 1)


def scalar_rows(values):
    return limbs(list(values), bits=WORD_BITS, montgomery=False)


def base_row(group):
    secrets = golden_secrets("window")
    return secrets.g1 if group is G1 else secrets.g2


def plain(group, row):
    """Return a row as a point of the twin."""
    if not row.any():
        return None
    data = points_encode(group, row.reshape(1, -1))
    parts = [int.from_bytes(data[at : at + 48], "big") for at in range(0, len(data), 48)]
    half = len(parts) // 2
    return tuple(parts[:half][::-1]), tuple(parts[half:][::-1])


@pytest.fixture(params=GROUPS, ids=lambda group: group.name)
def group(request, path):
    return request.param


@pytest.fixture
def some_points(group):
    """Twelve points, as rows."""
    rng = random.Random(3)
    return multiples(group, base_row(group), scalar_rows(rng.randrange(1, MODULUS) for _ in range(12)))


@pytest.mark.timeout(60, func_only=True)
@pytest.mark.parametrize("step", ["multiexp._windows", "multiples._multiples"])
def test_a_failed_part_ends_the_sum(some_points, group, monkeypatch, step):
    """A thread that failed gives its memory back: the next part would wait for it for ever."""

    def failing(*_args):
        raise MemoryError("no room")

    monkeypatch.setattr(f"workers.snark.{step}", failing)
    monkeypatch.setattr("workers.snark.multiples.MULTIPLES_CHUNK", 4)
    rng = random.Random(4)
    scalars = scalar_rows(rng.randrange(1, MODULUS) for _ in range(12))

    with pytest.raises(MemoryError):
        multiexp(group, some_points, scalars) if step == "multiexp._windows" else multiples(
            group, base_row(group), scalars
        )


def test_multiples_of_a_point_equal_the_twin(group):
    base = base_row(group)
    made = multiples(group, base, scalar_rows(EDGES))
    for scalar, row in zip(EDGES, made, strict=True):
        assert plain(group, row) == curve.point_multiply(plain(group, base), scalar)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 40])
def test_a_sum_of_multiples_equals_the_twin(group, some_points, count):
    rng = random.Random(count)
    chosen = [rng.randrange(len(some_points)) for _ in range(count)]
    scalars = [rng.choice((*EDGES, rng.randrange(MODULUS))) for _ in range(count)]
    points = some_points[chosen].reshape(count, group.words)
    made = multiexp(group, points, scalar_rows(scalars), threads=2)
    assert plain(group, made) == curve.multiexp([plain(group, row) for row in points], scalars)


@pytest.mark.parametrize("threads", [1, 2 * 64], ids=["one-chunk-at-a-time", "two-at-a-time"])
def test_more_points_than_a_chunk_are_summed_chunk_by_chunk(group, some_points, monkeypatch, threads):
    monkeypatch.setattr("workers.snark.multiexp.CHUNK_POINTS", 5)
    rng = random.Random(11)
    scalars = [rng.choice((*EDGES, rng.randrange(MODULUS))) for _ in some_points]
    told = []
    made = multiexp(
        group,
        some_points,
        scalar_rows(scalars),
        threads=threads,
        progress=lambda done, total: told.append((done, total)),
    )
    assert plain(group, made) == curve.multiexp([plain(group, row) for row in some_points], scalars)
    assert [done for done, _ in told] == list(range(1, told[-1][1] + 1))


def test_equal_and_opposite_points_and_infinity_in_one_bucket(group, some_points):
    """Doublings, sums that are infinity, and bases that are: all in the same buckets."""
    rng = random.Random(5)
    minus = multiples(group, some_points[0], scalar_rows([MODULUS - 1]))[0]
    nothing = np.zeros(group.words, np.uint64)
    points = np.array([rng.choice((some_points[0], some_points[1], minus, nothing)) for _ in range(60)])
    scalars = [rng.choice((1, 2, 3, 5, MODULUS - 1, MODULUS - 2)) for _ in range(60)]
    made = multiexp(group, points, scalar_rows(scalars))
    assert plain(group, made) == curve.multiexp([plain(group, row) for row in points], scalars)


def test_points_that_cancel_leave_infinity(group, some_points):
    points = np.array([some_points[0], some_points[0], some_points[1]])
    for scalars in ((7, MODULUS - 7, 0), (1, MODULUS - 1, 0), (0, 0, 0)):
        assert not multiexp(group, points, scalar_rows(scalars)).any()


def test_bytes_of_points_are_those_that_blst_reads(group, some_points):
    data = points_encode(group, some_points)
    assert (points_decode(group, data) == some_points).all()
    read = g1_from_uncompressed if group is G1 else g2_from_uncompressed
    for number, row in enumerate(some_points):
        own = data[number * group.point_bytes : (number + 1) * group.point_bytes]
        assert bytes(read(own)) == point_compress(group, row)


def test_bytes_that_are_no_points_are_refused(group, some_points):
    data = bytearray(points_encode(group, some_points[:2]))
    with pytest.raises(BadPoints, match="not whole points"):
        points_decode(group, bytes(data[:-1]))
    flipped = bytearray(data)
    flipped[-1] ^= 1
    with pytest.raises(BadPoints, match=f"point 1 of {group.name} is not on the curve"):
        points_decode(group, bytes(flipped))
    data[:48] = b"\xff" * 48
    with pytest.raises(BadPoints, match=f"point 0 of {group.name}: a coordinate is not below the modulus"):
        points_decode(group, bytes(data))
    with pytest.raises(BadPoints, match="infinity"):
        point_compress(group, np.zeros(group.words, np.uint64))


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 20])
def test_the_first_row_off_the_curve_is_that_of_the_twin(group, some_points, count):
    """Rows of the curve, changed ones, x and y the wrong way round, and infinity, which is on no curve."""
    half = group.words // 2
    changed, turned = some_points[0].copy(), np.roll(some_points[1], half)
    changed[0] ^= np.uint64(1)
    for bad in (None, changed, turned, np.zeros(group.words, np.uint64)):
        rng = random.Random(count)
        points = some_points[[rng.randrange(len(some_points)) for _ in range(count)]]
        for place in rng.sample(range(count), min(2, count)) if bad is not None else ():
            points[place] = bad
        off = [at for at, row in enumerate(points) if not curve.is_on_curve(plain(group, row))]
        assert group.path.first_off_curve(points) == min(off, default=-1)


@pytest.mark.parametrize("factor", [0, 1, curve.P - 1, pow(2, 768, curve.P)])
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9])
def test_parts_of_coordinates_are_scaled_as_by_the_twin(group, count, factor):
    rng = random.Random(count)
    values = [rng.choice((0, 1, curve.P - 1, rng.randrange(curve.P))) for _ in range(count)]
    rows = coordinate_rows(values, montgomery=False)

    group.path.scale(rows, factor)

    assert [int.from_bytes(row.tobytes(), "little") for row in rows] == curve.parts_scale(values, factor)


def test_lanes_and_words_agree_on_more_pairs_than_share_an_inversion(some_points, group, monkeypatch):
    """Three thousand points of a dozen bases and their negatives: every round has doublings and opposites."""
    rng = random.Random(7)
    minus = multiples(group, some_points[0], scalar_rows([MODULUS - 1]))
    bases = np.concatenate([some_points, minus, np.zeros_like(minus)])
    points = bases[[rng.randrange(len(bases)) for _ in range(3000)]]
    scalars = scalar_rows(rng.choice((*EDGES, rng.randrange(MODULUS))) for _ in points)
    made = multiexp(group, points, scalars, threads=2)
    monkeypatch.setenv(FORCE_VARIABLE, "portable")
    assert (multiexp(group, points, scalars) == made).all()


def test_pairs_of_every_kind_among_ordinary_ones_equal_the_twin(some_points, group):
    """Each lane of a group in turn has the doubling, the opposite pair, and infinity on each side."""
    adding = group.path
    points = np.concatenate([some_points, np.zeros((1, group.words), np.uint64)])
    rows, own = adding.rows_of(points, np.arange(len(points), dtype=np.uint32))
    minus, nothing = np.uint32(1 << 31), own[-1]
    kinds = [(own[1], own[1]), (own[2], own[2] | minus), (nothing, own[3] | minus), (own[4] | minus, nothing)]
    pairs = [(own[k % 5], own[5 + k % 7]) for k in range(45)]
    for lane in range(8):
        for at, kind in enumerate((*kinds, (nothing, nothing | minus))):
            changed = list(pairs)
            changed[8 * at + lane] = kind
            first, second = np.array(changed, np.uint32).T.copy()
            out = adding.rows_empty(len(pairs))
            adding.add_pairs(rows, first, second, out, np.arange(len(pairs), dtype=np.uint32))
            for (one, two), row in zip(changed, adding.points_of(out), strict=True):
                ends = [plain(group, points[index & ~minus]) for index in (one, two)]
                signed = [
                    curve.point_negative(end) if index & minus else end
                    for end, index in zip(ends, (one, two), strict=True)
                ]
                assert plain(group, row) == curve.point_add(*signed)
