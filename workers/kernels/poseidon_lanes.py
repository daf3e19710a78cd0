"""Poseidon of 8 messages at once in AVX-512 IFMA lanes: 5 limbs of 52 bits, Montgomery radix 2^260.

The radix is 35 times the modulus, so products need no final subtraction: a Montgomery product is
below a·b/R + r, and a sum of 22 products accumulates unreduced in 64-bit limbs.  Elements stay below
10 r (the tail after the partial rounds; S-boxes give less than 3 r).  Only a digest is brought below r.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from llvmlite import ir  # type: ignore[import-untyped]  # llvmlite has no types
from numba import njit

from workers.kernels import llvm
from workers.kernels.field import MODULUS
from workers.kernels.flags import SERIAL
from workers.kernels.llvm import I64, V8
from workers.kernels.poseidon_rounds import hash_groups, hash_room

LIMB = (1 << 52) - 1
SLOT = 320
"""Bytes of one element of 8 messages: 5 limbs x 8 lanes."""
CONSTANT = 40
"""Bytes of one constant: 5 limbs."""
MODULUS_LIMBS = [MODULUS >> 52 * i & LIMB for i in range(5)]
_V4W = ir.VectorType(I64, 4)


def _multiply_add(builder, part, accumulator, left, right):
    """accumulator + the low (part "l") or high ("h") 52 bits of left · right, in 8 lanes, modulo 2^64."""
    name = f"llvm.x86.avx512.vpmadd52{part}.uq.512"
    return builder.call(llvm.function(builder, name, V8, [V8, V8, V8]), [accumulator, left, right])


def _limbs(builder, address, offset=0):
    """The 5 limbs of a slot, each a vector of 8 messages; address + offset in bytes."""
    return [llvm.load(builder, address, offset + 64 * k, V8) for k in range(5)]


def _constant(builder, address, offset=0):
    """The 5 limbs of a constant (u64[5] at address + offset), each in all lanes."""
    return [llvm.spread(builder, llvm.load(builder, address, offset + 8 * k, I64), 8) for k in range(5)]


def store(builder, address, value, offset=0):
    """Write 5 limbs to a slot, 64 bytes each."""
    for k in range(5):
        llvm.store(builder, value[k], address, offset + 64 * k)


def _accumulate(builder, lows, highs, left, right):
    """Add all limb products of left x right; low and high halves apart, so that chains stay short.

    lows, highs: 9 vectors each, changed in place; highs[k] weighs 2^52 times as much as lows[k]
    left, right: 5 limbs below 2^52, the highest too: the instruction reads no more

    Each sum gets at most 5 halves below 2^52 a term, so the 22 terms of the longest dot product stay below
    2^59.
    """
    for i in range(5):
        for j in range(5):
            lows[i + j] = _multiply_add(builder, "l", lows[i + j], left[i], right[j])
            highs[i + j] = _multiply_add(builder, "h", highs[i + j], left[i], right[j])


def _joined(builder, lows, highs):
    """Ten limb sums out of 9 low and 9 high halves; each below 2^60 for as many terms."""
    middle = [builder.add(lows[k], highs[k - 1]) for k in range(1, 9)]
    return [lows[0], *middle, highs[8]]


def normalised(builder, value):
    """Carry limbs: the lower four come below 2^52, the highest keeps what is left.

    value: 5 limbs, not negative, each below 2^63; as a whole below 2^260 where it is a factor next
    """
    out = list(value)
    for k in range(4):
        out[k + 1] = builder.add(out[k + 1], builder.lshr(out[k], llvm.splat(V8, 52)))
        out[k] = builder.and_(out[k], llvm.splat(V8, LIMB))
    return out


def _reduce(builder, sums, add=None):
    """Montgomery reduction of ten limb sums, plus `add`; limbs normalised.

    sums:    ten vectors, each below 2^60: the ten halves that come in and the carry fit into 64 bits
    add:     5 limbs, not multiplied, or None
    returns: (sums / 2^260 + add) modulo r: below sums / 2^260 + r + add, not brought below r
    """
    t = list(sums)
    modulus = [llvm.splat(V8, limb) for limb in MODULUS_LIMBS]
    for i in range(5):
        # -1/r is -(1 + 2^32) modulo 2^52; only the low 52 bits of m count
        shifted = builder.shl(t[i], llvm.splat(V8, 32))
        m = builder.sub(llvm.splat(V8, 0), builder.add(t[i], shifted))
        # the lowest limb of m · r makes t[i] a multiple of 2^52: its carry is t[i] / 2^52 rounded up
        carry = builder.lshr(builder.add(t[i], llvm.splat(V8, LIMB)), llvm.splat(V8, 52))
        t[i + 1] = builder.add(t[i + 1], carry)
        for j in range(5):
            if j:
                t[i + j] = _multiply_add(builder, "l", t[i + j], m, modulus[j])
            t[i + j + 1] = _multiply_add(builder, "h", t[i + j + 1], m, modulus[j])
    value = t[5:]
    if add is not None:
        value = [builder.add(a, b) for a, b in zip(value, add, strict=True)]
    return normalised(builder, value)


def _multiply(builder, left, right, add=None):
    """left · right / 2^260 + add: 5 limbs, below left · right / 2^260 + r + add; factors normalised."""
    lows, highs = [llvm.splat(V8, 0)] * 9, [llvm.splat(V8, 0)] * 9
    _accumulate(builder, lows, highs, left, right)
    return _reduce(builder, _joined(builder, lows, highs), add)


def _square(builder, value):
    """As _multiply, with each mixed product computed once and doubled.

    A doubled sum holds at most eight halves of mixed products, then one of a square: far below 2^60.
    """
    lows, highs = [llvm.splat(V8, 0)] * 9, [llvm.splat(V8, 0)] * 9
    for i in range(5):
        for j in range(i + 1, 5):
            lows[i + j] = _multiply_add(builder, "l", lows[i + j], value[i], value[j])
            highs[i + j] = _multiply_add(builder, "h", highs[i + j], value[i], value[j])
    sums = [builder.shl(limb, llvm.splat(V8, 1)) for limb in _joined(builder, lows, highs)]
    for i in range(5):
        sums[2 * i] = _multiply_add(builder, "l", sums[2 * i], value[i], value[i])
        sums[2 * i + 1] = _multiply_add(builder, "h", sums[2 * i + 1], value[i], value[i])
    return _reduce(builder, sums)


def _emit_sbox(builder, target, source, constant):
    """target = source^5 / 2^1040 + constant, of 8 messages.

    target, source: i64  addresses of slots; they may be the same
    constant:       i64  address of the round key, u64[5], already in the scale of the result
    """
    x = _limbs(builder, source)
    x4 = _square(builder, _square(builder, x))
    store(builder, target, _multiply(builder, x4, x, _constant(builder, constant)))


def _emit_scale(builder, target, source, constants):
    """target = source · constants[0] / 2^260 + constants[1]: an input in Montgomery form plus its constant.

    target, source: i64  addresses of slots;  constants: i64  address of u64[2, 5]
    """
    x = _limbs(builder, source)
    factor, add = _constant(builder, constants), _constant(builder, constants, CONSTANT)
    store(builder, target, _multiply(builder, x, factor, add))


def _dot_sums(builder, slots, stride, constants, count):
    """Ten limb sums of Σ slot k · constant k, without any reduction between.

    slots:     i64  address of the first slot;  stride: i64  bytes to the next
    constants: i64  address of u64[count, 5];  count: i64  1 to 22
    """

    def turn(index, sums):
        """Add one product to the 18 sums, which are carried from turn to turn."""
        lows, highs = sums[:9], sums[9:]
        slot = builder.add(slots, builder.mul(index, stride))
        constant = builder.add(constants, builder.mul(index, llvm.splat(I64, CONSTANT)))
        _accumulate(builder, lows, highs, _limbs(builder, slot), _constant(builder, constant))
        return lows + highs

    sums = llvm.loop(builder, count, [llvm.splat(V8, 0)] * 18, turn)
    return _joined(builder, sums[:9], sums[9:])


def _emit_dot(builder, target, slots, constants, count):
    """target = Σ slot k · constant k / 2^260 of neighbouring slots; addresses as in `_dot_sums`."""
    sums = _dot_sums(builder, slots, llvm.splat(I64, SLOT), constants, count)
    store(builder, target, _reduce(builder, sums))


def _emit_dot_add(builder, target, plain, slots, stride, constants, count):
    """target = plain + Σ slot k · constant k / 2^260: a sum whose first weight is 1.

    target, plain: i64  addresses of slots; the others as in `_dot_sums`.  All is read before target is
                   written.
    """
    sums = _dot_sums(builder, slots, stride, constants, count)
    store(builder, target, _reduce(builder, sums, _limbs(builder, plain)))


def _emit_spread(builder, target, constant):
    """Write a constant (address of u64[5]) to a slot, in all lanes."""
    store(builder, target, _constant(builder, constant))


def emit_gather(builder, target, base, offsets):
    """Eight nodes at base + offsets[lane] become one slot of 52-bit limbs.

    target:  i64  address of a slot, output
    base:    i64  address;  offsets: i64  address of i64[8], bytes
    Nodes are 32 bytes, little-endian, of any value below 2^256; no memory beside them is read.
    """
    nodes = []
    for lane in range(8):
        address = builder.add(base, llvm.load(builder, offsets, 8 * lane, I64))
        nodes.append(llvm.load(builder, address, 0, _V4W))
    pairs = [builder.shuffle_vector(nodes[i], nodes[i + 1], llvm.mask(list(range(8)))) for i in (0, 2, 4, 6)]
    words = []
    for word in range(4):
        pick = llvm.mask([word, 4 + word, 8 + word, 12 + word])
        low = builder.shuffle_vector(pairs[0], pairs[1], pick)
        high = builder.shuffle_vector(pairs[2], pairs[3], pick)
        words.append(builder.shuffle_vector(low, high, llvm.mask(list(range(8)))))
    limbs = [words[0]]
    for k in range(1, 4):
        low = builder.lshr(words[k - 1], llvm.splat(V8, 64 - 12 * k))
        limbs.append(builder.or_(low, builder.shl(words[k], llvm.splat(V8, 12 * k))))
    limbs.append(builder.lshr(words[3], llvm.splat(V8, 16)))
    store(builder, target, [builder.and_(limb, llvm.splat(V8, LIMB)) for limb in limbs])


def emit_scatter(builder, target, slot):
    """One slot below 2 r becomes eight canonical nodes side by side.

    target: i64  address of u64[8, 4], output
    slot:   i64  address of a slot, normalised

    r is subtracted limb by limb; the lanes in which that leaves a borrow keep what they had.
    """
    value = _limbs(builder, slot)
    less, borrow = [], llvm.splat(V8, 0)
    for k in range(5):
        limb = builder.sub(builder.sub(value[k], llvm.splat(V8, MODULUS_LIMBS[k])), borrow)
        borrow = builder.lshr(limb, llvm.splat(V8, 63))
        less.append(builder.and_(limb, llvm.splat(V8, LIMB)))
    keep = builder.icmp_unsigned("!=", borrow, llvm.splat(V8, 0))
    limbs = [builder.select(keep, a, b) for a, b in zip(value, less, strict=True)]
    words = []
    for k in range(4):
        low = builder.lshr(limbs[k], llvm.splat(V8, 12 * k))
        words.append(builder.or_(low, builder.shl(limbs[k + 1], llvm.splat(V8, 52 - 12 * k))))
    for lane in range(8):
        for k in range(4):
            word = builder.extract_element(words[k], llvm.splat(llvm.I32, lane))
            llvm.store(builder, word, target, 32 * lane + 8 * k)


_SPREAD, _SCATTER, _GATHER = llvm.step(_emit_spread), llvm.step(emit_scatter), llvm.step(emit_gather)
_SBOX, _SCALE = llvm.step(_emit_sbox), llvm.step(_emit_scale)
_DOT, _DOT_ADD = llvm.step(_emit_dot), llvm.step(_emit_dot_add)


@njit(**SERIAL)
def hash_lanes(bases, step, out, constants, partial_rounds):
    """Poseidon of `len(out)` messages; message m's element i is the node at bases[i] + m · step.

    bases:     i64[arity]   addresses of the first message's elements
    step:      i64          bytes from one message's element to the next message's
    out:       u64[n, 4]    output, every word written
    constants: u64[k, 5]    rows of `constants_in_order`
    partial_rounds: i64  of the arity
    Cost:    8 messages at a time; arity 8: about 14,500 multiply-adds a hash.
    Threads: none inside; the GIL is free.
    Errors:  none; `poseidon` has made the constants, callers keep the memory behind `bases` alive.
    Source:  neptune src/poseidon.rs by its vectors; form of `poseidon_recurrence`.
    Twin:    tests/naive/poseidon.py poseidon.   Golden: tests/golden/proofs/poseidon.json.
    """
    steps = (_SPREAD, _GATHER, _SCALE, _SCATTER), (_SBOX, _DOT, _DOT_ADD)
    room = hash_room(bases.shape[0] + 1, partial_rounds, SLOT)
    hash_groups(steps, (SLOT, CONSTANT), bases, step, out, constants, partial_rounds, room)
