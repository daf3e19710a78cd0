"""Poseidon of 8 messages at once by AVX2 and FMA: 5 limbs of 52 bits as floating-point numbers, radix 2^260.

Products of limbs are those of `fma`, in the two registers of 4 lanes that stand for one of 8; their halves
are summed as integers, with the bits of the exponents, which are taken away at the end.  Bounds are those of
`poseidon_lanes`.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # llvmlite has no types
from numba import njit

from workers.kernels import llvm
from workers.kernels.flags import SERIAL
from workers.kernels.fma import (
    F64,
    HIGH_BITS,
    LOW_BITS,
    emit_round_as_before,
    emit_round_to_zero,
    floats,
    halves,
    high,
    to_floats,
    to_integers,
)
from workers.kernels.llvm import I64, V8
from workers.kernels.poseidon_lanes import (
    CONSTANT,
    LIMB,
    MODULUS_LIMBS,
    SLOT,
    emit_gather,
    emit_scatter,
    normalised,
    store,
)
from workers.kernels.poseidon_rounds import hash_groups, hash_room

_HALF = 4
"""Lanes of a register."""
_F8 = ir.VectorType(F64, 8)


def _accumulate(builder, sums, counts, left, right):
    """Add both halves of a product of single limbs to two sums, and the bits of their exponents to `counts`.

    sums:   [low, high], vectors of integers, changed in place;  counts: integers, changed in place
    """
    for place, (half, bits) in enumerate(
        zip(halves(builder, left, right), (LOW_BITS, HIGH_BITS), strict=True)
    ):
        sums[place] = builder.add(sums[place], half)
        counts[place] += bits


def _limbs(builder, address, offset=0, type_=_F8):
    """The 5 limbs of a slot: of all messages, or of the four from `offset` bytes on."""
    return [llvm.load(builder, address, offset + 64 * k, type_) for k in range(5)]


def _constant(builder, address, offset=0, type_=_F8):
    """The 5 limbs of a constant (f64[5] at address + offset), each in all lanes."""
    return [
        llvm.spread(builder, llvm.load(builder, address, offset + 8 * k, F64), type_.count) for k in range(5)
    ]


def _without(builder, value, bits):
    """An integer without the bits of exponents that were counted."""
    bits &= (1 << 64) - 1
    return builder.sub(value, llvm.splat(value.type, bits)) if bits else value


def _reduce(builder, sums, counts, add=None):
    """Montgomery reduction of ten limb sums without `counts`, plus `add`, as numbers; see `poseidon_lanes`.

    sums:   ten vectors of integers;  counts: ten integers, the bits of exponents in them
    add:    5 limbs as integers, or None
    """
    t, counts = list(sums), list(counts)
    modulus = [llvm.splat(_F8, float(limb)) for limb in MODULUS_LIMBS]
    for i in range(5):
        lowest = _without(builder, t[i], counts[i])
        shifted = builder.shl(lowest, llvm.splat(V8, 32))
        m = builder.sub(llvm.splat(V8, 0), builder.add(lowest, shifted))
        [m] = to_floats(builder, [builder.and_(m, llvm.splat(V8, LIMB))])
        carry = builder.lshr(builder.add(lowest, llvm.splat(V8, LIMB)), llvm.splat(V8, 52))
        t[i + 1] = builder.add(builder.add(t[i + 1], carry), high(builder, m, modulus[0])[0])
        counts[i + 1] += HIGH_BITS
        for j in range(1, 5):
            pair, bits = t[i + j : i + j + 2], counts[i + j : i + j + 2]
            _accumulate(builder, pair, bits, m, modulus[j])
            t[i + j : i + j + 2], counts[i + j : i + j + 2] = pair, bits
    value = [_without(builder, limb, bits) for limb, bits in zip(t[5:], counts[5:], strict=True)]
    if add is not None:
        value = [builder.add(a, b) for a, b in zip(value, add, strict=True)]
    return to_floats(builder, normalised(builder, value))


def _products(builder, sums, counts, pairs):
    """Add the products of limbs left[i] · right[j], given as (i + j, left[i], right[j]), to the sums."""
    for place, left, right in pairs:
        pair, bits = sums[place : place + 2], counts[place : place + 2]
        _accumulate(builder, pair, bits, left, right)
        sums[place : place + 2], counts[place : place + 2] = pair, bits


def _multiply(builder, left, right, add=None):
    """left · right / 2^260 + add; `add` are integers, all else numbers, normalised."""
    sums, counts = [llvm.splat(V8, 0)] * 10, [0] * 10
    _products(builder, sums, counts, [(i + j, left[j], right[i]) for i in range(5) for j in range(5)])
    return _reduce(builder, sums, counts, add)


def _square(builder, value):
    """As _multiply, with each mixed product computed once and doubled."""
    sums, counts = [llvm.splat(V8, 0)] * 10, [0] * 10
    mixed = [(i + j, value[i], value[j]) for i in range(5) for j in range(i + 1, 5)]
    _products(builder, sums, counts, mixed)
    sums = [builder.shl(limb, llvm.splat(V8, 1)) for limb in sums]
    counts = [2 * bits for bits in counts]
    _products(builder, sums, counts, [(2 * i, limb, limb) for i, limb in enumerate(value)])
    return _reduce(builder, sums, counts)


def _emit_sbox(builder, target, source, constant):
    """target = source^5 / 2^1040 + constant; addresses as in `poseidon_lanes`, the constant f64[5]."""
    x = _limbs(builder, source)
    x4 = _square(builder, _square(builder, x))
    key = to_integers(builder, _constant(builder, constant))
    store(builder, target, _multiply(builder, x4, x, key))


def _emit_scale(builder, target, source, constants):
    """target = source · constants[0] / 2^260 + constants[1]; constants: address of f64[2, 5]."""
    add = to_integers(builder, _constant(builder, constants, CONSTANT))
    store(builder, target, _multiply(builder, _limbs(builder, source), _constant(builder, constants), add))


def _dot_sums(builder, slots, stride, constants, count):
    """Ten limb sums of Σ slot k · constant k, without any reduction between and without bits of exponents.

    slots:     i64  address of the first slot;  stride: i64  bytes to the next
    constants: i64  address of f64[count, 5];  count: i64  1 to 22

    The sums lie in memory: there are more of them than registers, and their order, column by column, needs
    each once a turn.
    """
    room = builder.ptrtoint(builder.alloca(ir.ArrayType(V8, 10)), I64)
    half = ir.VectorType(I64, _HALF)
    counts = [0] * 10
    for k in range(10):
        llvm.store(builder, llvm.splat(V8, 0), room, 64 * k)

    def turn(index, _):
        """Add one product to the sums of all messages, four at a time."""
        slot = builder.add(slots, builder.mul(index, stride))
        constant = builder.add(constants, builder.mul(index, llvm.splat(I64, CONSTANT)))
        for lanes in (0, 8 * _HALF):
            left = _limbs(builder, slot, lanes, floats(half))
            right = _constant(builder, constant, type_=floats(half))
            counts[:] = [0] * 10
            pair = [llvm.load(builder, room, lanes, half), llvm.splat(half, 0)]
            for place in range(9):
                pair[1] = llvm.load(builder, room, 64 * place + 64 + lanes, half)
                bits = counts[place : place + 2]
                for i in range(max(0, place - 4), min(place, 4) + 1):
                    _accumulate(builder, pair, bits, left[place - i], right[i])
                counts[place : place + 2] = bits
                llvm.store(builder, pair[0], room, 64 * place + lanes)
                pair = [pair[1], pair[0]]
            llvm.store(builder, pair[0], room, 64 * 9 + lanes)
        return []

    llvm.loop(builder, count, [], turn)
    sums = []
    for k, bits in enumerate(counts):
        all_bits = builder.mul(count, llvm.splat(I64, bits & (1 << 64) - 1))
        sums.append(builder.sub(llvm.load(builder, room, 64 * k, V8), llvm.spread(builder, all_bits, 8)))
    return sums


def _emit_dot(builder, target, slots, constants, count):
    """target = Σ slot k · constant k / 2^260 of neighbouring slots; addresses as in `_dot_sums`."""
    sums = _dot_sums(builder, slots, llvm.splat(I64, SLOT), constants, count)
    store(builder, target, _reduce(builder, sums, [0] * 10))


def _emit_dot_add(builder, target, plain, slots, stride, constants, count):
    """target = plain + Σ slot k · constant k / 2^260; see `poseidon_lanes`."""
    sums = _dot_sums(builder, slots, stride, constants, count)
    add = to_integers(builder, _limbs(builder, plain))
    store(builder, target, _reduce(builder, sums, [0] * 10, add))


def _emit_spread(builder, target, constant):
    """Write a constant (address of f64[5]) to a slot, in all lanes."""
    store(builder, target, _constant(builder, constant))


def _emit_gather(builder, target, base, offsets):
    """Eight nodes become one slot of numbers; see `poseidon_lanes`."""
    emit_gather(builder, target, base, offsets)
    store(builder, target, to_floats(builder, _limbs(builder, target, type_=V8)))


def _emit_scatter(builder, target, slot):
    """One slot below 2 r becomes eight canonical nodes side by side; the slot is overwritten."""
    store(builder, slot, to_integers(builder, _limbs(builder, slot)))
    emit_scatter(builder, target, slot)


def _step(emit):
    """A step that is a function of its own: no arithmetic of it moves across the change of rounding."""
    return llvm.step(llvm.called(f"{__name__}.{emit.__name__}", emit))


_SPREAD, _SCATTER, _GATHER = _step(_emit_spread), _step(_emit_scatter), _step(_emit_gather)
_SBOX, _SCALE, _DOT, _DOT_ADD = _step(_emit_sbox), _step(_emit_scale), _step(_emit_dot), _step(_emit_dot_add)
_ROUND, _ROUND_BACK = llvm.step(emit_round_to_zero), llvm.step(emit_round_as_before)


@njit(**SERIAL)
def hash_floats(bases, step, out, constants, partial_rounds):
    """Poseidon of `len(out)` messages; message m's element i is the node at bases[i] + m · step.

    bases:     i64[arity]   addresses of the first message's elements
    step:      i64          bytes from one message's element to the next message's
    out:       u64[n, 4]    output, every word written
    constants: f64[k, 5]    rows of `constants_in_order`, limbs of 52 bits
    partial_rounds: i64  of the arity
    Cost:    8 messages at a time; arity 8: about 14,500 multiply-adds of lanes a hash.
    Threads: none inside; the GIL is free; this thread's rounding is as before at the end.
    Errors:  none; `poseidon` has made the constants, callers keep the memory behind `bases` alive.
    Source:  neptune src/poseidon.rs by its vectors; form of `poseidon_recurrence`.
    Twin:    tests/naive/poseidon.py poseidon.   Golden: tests/golden/proofs/poseidon.json.
    """
    control, room = np.empty(1, np.uint64), hash_room(bases.shape[0] + 1, partial_rounds, SLOT)
    steps = (_SPREAD, _GATHER, _SCALE, _SCATTER), (_SBOX, _DOT, _DOT_ADD)
    _ROUND(control.ctypes.data)
    hash_groups(steps, (SLOT, CONSTANT), bases, step, out, constants, partial_rounds, room)
    _ROUND_BACK(control.ctypes.data)
    control[0] = 0  # numba frees an array after its last use by name; its address is used until here
