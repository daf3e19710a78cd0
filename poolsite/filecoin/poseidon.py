"""Poseidon over BLS12-381 scalars: the hash of columns, of tree_c and tree_r_last, of comm_r and of SnapUp.

A state of arity + 1 scalars goes through rounds that add constants, raise to the fifth power and multiply
with a matrix.  In the eight full rounds all elements are raised, in the partial rounds between them only the
first.  What runs here is neptune's faster equal of that: constants moved behind the power, and a sparse
matrix in each partial round.

Source: argumentcomputer/neptune src/{poseidon,round_constants,round_numbers,mds,preprocessing}.rs, strength
Standard; eprint 2019/458 for the plain form.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import count
from operator import mul

from poolsite.filecoin.scalars import SCALAR_MODULUS, scalar_from_bytes, scalar_to_bytes

Matrix = tuple[tuple[int, ...], ...]
"""Rows of scalars."""

FULL_ROUNDS = 8
"""Rounds with an S-box on every element: half before, half after the partial rounds."""

PARTIAL_ROUNDS = {2: 55, 4: 56, 8: 57, 11: 57}
"""Rounds with one S-box, by arity.  Source: neptune src/round_numbers.rs."""

SCALAR_BITS = 255
"""Bits of the modulus: how many bits of the generator make one candidate constant."""

RANDOMNESS_TAG = 1 << 40
"""Domain tag of the SnapUp hash (neptune HashType::Custom(1)).  Source: rust-fil-proofs
storage-proofs-update/src/constants.rs POSEIDON_CONSTANTS_GEN_RANDOMNESS."""

NODE_CACHE_ENTRIES = 1 << 15
"""How many node hashes are remembered; a 2 KiB sector has 18 nodes and 64 columns, so a whole devnet fits."""


@dataclass(frozen=True, slots=True)
class PoseidonConstants:
    """Everything that depends on the arity alone, in the optimised form that neptune runs."""

    round_constants: tuple[int, ...]
    """Constants of the plain form, round by round, width at a time."""
    mds: Matrix
    """The Cauchy matrix 1 / (i + j + width); symmetric."""
    compressed: tuple[int, ...]
    """Constants pushed behind the S-boxes: width per full round, one per partial round."""
    pre_sparse: Matrix
    """Matrix of the last full round before the partial ones."""
    sparse: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    """For each partial round the first column (w_hat) and the rest of the first row (v_rest)."""


@cache
def poseidon_constants(arity: int) -> PoseidonConstants:
    """Derive the constants of `arity` (2, 4, 8 or 11)."""
    width, partial = arity + 1, PARTIAL_ROUNDS[arity]
    constants = _round_constants(width, partial)
    mds = tuple(
        tuple(pow(row + column + width, -1, SCALAR_MODULUS) for column in range(width))
        for row in range(width)
    )
    pre_sparse, sparse = _sparse_factors(mds, partial)
    return PoseidonConstants(
        round_constants=constants,
        mds=mds,
        compressed=_compressed_constants(constants, mds, partial=partial),
        pre_sparse=pre_sparse,
        sparse=sparse,
    )


def poseidon(elements: tuple[int, ...], *, tag: int | None = None) -> int:
    """Hash 2, 4, 8 or 11 scalars; `tag` separates domains and is 2^arity - 1 for tree nodes and columns."""
    arity = len(elements)
    half = FULL_ROUNDS // 2
    constants = poseidon_constants(arity)
    domain = (1 << arity) - 1 if tag is None else tag
    keys = iter(constants.compressed)
    state = [element + next(keys) for element in (domain, *elements)]
    for number in range(half):
        state = [_fifth_power(element) + next(keys) for element in state]
        state = _times(state, constants.mds if number < half - 1 else constants.pre_sparse)
    for w_hat, v_rest in constants.sparse:
        state[0] = (_fifth_power(state[0]) + next(keys)) % SCALAR_MODULUS
        head, first = state[0], sum(map(mul, w_hat, state)) % SCALAR_MODULUS
        state = [
            first,
            *[(rest + v * head) % SCALAR_MODULUS for rest, v in zip(state[1:], v_rest, strict=True)],
        ]
    for _ in range(half - 1):
        state = _times([_fifth_power(element) + next(keys) for element in state], constants.mds)
    # The hash is element 1 of the last state, so of its matrix only that column is worked out.
    digest: int = sum(map(mul, map(_fifth_power, state), constants.mds[1])) % SCALAR_MODULUS
    return digest


@lru_cache(maxsize=NODE_CACHE_ENTRIES)
def poseidon_node(children: tuple[bytes, ...]) -> bytes:
    """Hash 2, 4, 8 or 11 nodes (a tree node's children, a column, or comm_c and comm_r_last) into one.

    Raises BadScalar if a child is not the canonical form of a scalar.
    """
    return scalar_to_bytes(poseidon(tuple(map(scalar_from_bytes, children))))


@lru_cache(maxsize=NODE_CACHE_ENTRIES)
def poseidon_randomness(left: int, right: int) -> int:
    """Hash two scalars under the SnapUp tag."""
    return poseidon((left, right), tag=RANDOMNESS_TAG)


def _fifth_power(base: int) -> int:
    """Return the S-box of an element: x^5, a permutation as 5 has no common factor with r - 1."""
    square = base * base % SCALAR_MODULUS
    return square * square % SCALAR_MODULUS * base % SCALAR_MODULUS


def _times(row: list[int], columns: Matrix) -> list[int]:
    """Multiply a row vector with the matrix whose columns are given."""
    return [sum(map(mul, row, column)) % SCALAR_MODULUS for column in columns]


def _transposed(matrix: Matrix) -> Matrix:
    """Return a matrix with rows and columns exchanged."""
    return tuple(zip(*matrix, strict=True))


def _generator_bits(width: int, partial: int) -> Iterator[str]:
    """Yield runs of the self-shrunk bits of the Grain LFSR seeded with the parameters of the permutation.

    Source: neptune src/round_constants.rs; eprint 2019/458 appendix E.
    """
    fields = (
        (1, 2),
        (1, 4),
        (SCALAR_BITS, 12),
        (width, 12),
        (FULL_ROUNDS, 10),
        (partial, 10),
        ((1 << 30) - 1, 30),
    )
    seed = "".join(format(value, f"0{bits}b") for value, bits in fields)
    state = int(seed[::-1], 2)  # the oldest bit is the lowest
    shrunk = [_self_shrunk(chunk) for chunk in range(256)]
    for number in count():
        # the youngest tap is 18 bits old, so 16 new bits can be made at once
        new_bits = (state >> 62 ^ state >> 51 ^ state >> 38 ^ state >> 23 ^ state >> 13 ^ state) & 0xFFFF
        state = (state | new_bits << 80) >> 16
        if number >= 10:  # the first 160 bits are dropped
            yield shrunk[new_bits & 0xFF]
            yield shrunk[new_bits >> 8]


def _self_shrunk(chunk: int) -> str:
    """Return of four pairs of bits (oldest lowest) the second of each pair whose first is 1."""
    return "".join(str(chunk >> at + 1 & 1) for at in range(0, 8, 2) if chunk >> at & 1)


def _round_constants(width: int, partial: int) -> tuple[int, ...]:
    """Return the constants of all rounds: candidates of 255 bits, those not below r left out."""
    count = (FULL_ROUNDS + partial) * width
    constants: list[int] = []
    pending = ""
    for bits in _generator_bits(width, partial):
        pending += bits
        if len(pending) >= SCALAR_BITS:
            candidate, pending = int(pending[:SCALAR_BITS], 2), pending[SCALAR_BITS:]
            if candidate < SCALAR_MODULUS:
                constants.append(candidate)
        if len(constants) == count:
            break
    return tuple(constants)


def _compressed_constants(constants: tuple[int, ...], mds: Matrix, *, partial: int) -> tuple[int, ...]:
    """Push each round's constants behind its S-boxes.  Source: neptune src/preprocessing.rs."""
    half, width = FULL_ROUNDS // 2, len(mds)
    inverse = _inverse(mds)

    def round_keys(number: int) -> list[int]:
        """Return the constants of one round of the plain form."""
        return list(constants[number * width : (number + 1) * width])

    def pulled_back(vector: list[int]) -> list[int]:
        """Return what must be added before the matrix to have `vector` added behind it."""
        return [sum(map(mul, row, vector)) % SCALAR_MODULUS for row in inverse]

    before = [key for number in range(1, half) for key in pulled_back(round_keys(number))]
    partial_keys: list[int] = []
    carried = round_keys(half + partial)
    for number in range(half + partial - 1, half - 1, -1):
        first, *rest = pulled_back(carried)
        partial_keys.append(first)
        carried = [
            (key + moved) % SCALAR_MODULUS for key, moved in zip(round_keys(number), [0, *rest], strict=True)
        ]
    after = [key for number in range(1, half) for key in pulled_back(round_keys(half + partial + number))]
    return (*round_keys(0), *before, *pulled_back(carried), *reversed(partial_keys), *after)


def _sparse_factors(
    mds: Matrix, partial: int
) -> tuple[Matrix, tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]]:
    """Split off one sparse matrix per partial round.  Source: neptune src/mds.rs factor_to_sparse_matrixes.

    Returns the remaining dense matrix as columns, and the sparse ones in the order of the rounds.
    """
    factors: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    current = mds
    for _ in range(partial):
        below = tuple(row[0] for row in current[1:])
        hat_inverse = _inverse(tuple(row[1:] for row in current[1:]))
        w_hat = (current[0][0], *(sum(map(mul, row, below)) % SCALAR_MODULUS for row in hat_inverse))
        factors.append((w_hat, current[0][1:]))
        unit = (1, *(0 for _ in below))
        dense = _transposed((unit, *((0, *row[1:]) for row in current[1:])))
        current = tuple(tuple(_times(list(row), dense)) for row in mds)
    return _transposed(current), tuple(reversed(factors))


def _inverse(matrix: Matrix) -> Matrix:
    """Invert by Gauss-Jordan; pivots of Cauchy matrices and their corners are never 0."""
    size = len(matrix)
    rows = [[*row, *(int(at == column) for column in range(size))] for at, row in enumerate(matrix)]
    for pivot in range(size):
        scale = pow(rows[pivot][pivot], -1, SCALAR_MODULUS)
        rows[pivot] = [value * scale % SCALAR_MODULUS for value in rows[pivot]]
        for at in range(size):
            if at != pivot:
                factor = rows[at][pivot]
                rows[at] = [
                    (value - factor * base) % SCALAR_MODULUS
                    for value, base in zip(rows[at], rows[pivot], strict=True)
                ]
    return tuple(tuple(row[size:]) for row in rows)
