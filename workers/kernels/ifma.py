# mypy: allow-untyped-calls
"""Prime fields in lanes as LLVM code: 8 elements at once, limbs of 52 bits, Montgomery form.

Products are instructions of AVX-512 IFMA, or, on a CPU with AVX2 alone, made of those of `fma`.

A modulus shorter than its limbs leaves spare bits, so elements need not be below the modulus between
operations: a sum or difference only carries, and a product of values of which the bits left over are
not used up comes out below 1.2 times the modulus.  Differences add a multiple of the modulus first.
Source: Gueron and Krasnov, "Accelerating big integer arithmetic using Intel IFMA extensions", 2016.
"""

from __future__ import annotations

from functools import cached_property, partial

from llvmlite import ir  # type: ignore[import-untyped]  # llvmlite has no types

from workers.kernels import fma, llvm
from workers.kernels.cpu import LANES_BY_FMA
from workers.kernels.llvm import I1, I64, V8

LIMB_BITS = 52
LIMB = (1 << LIMB_BITS) - 1
LANES = 8
WORD = 8
"""Bytes of a limb of one lane; a limb of all lanes takes 8 of them."""
_FIRST, _SECOND = [0, 1, 2, 3], [4, 5, 6, 7]
_MARGIN = 16
"""What lower limbs that are not carried yet may take from the highest one."""


class LaneField:
    """A prime field whose elements are `limbs` vectors of 8 lanes, times 2^(52 · limbs).

    A value is a list of vectors, the lowest limb first.  It is *carried* if all limbs but the highest are
    below 2^52 and none is negative; sums and differences are not, and a product takes carried factors only,
    since the instruction reads 52 bits of each limb.  Bounds are counted in moduli and are the caller's to
    keep.
    """

    def __init__(self, name: str, modulus: int, limbs: int) -> None:
        """Store the modulus and how many limbs an element has.

        name:    what people call the field; no code reads it
        modulus: odd; its highest limb is not 0
        limbs:   of 52 bits; what they hold beyond the modulus is room for sums
        """
        self.name, self.modulus, self.limbs = name, modulus, limbs
        self.radix = 1 << LIMB_BITS * limbs
        self.slot = WORD * LANES * limbs
        """Bytes of 8 elements."""
        self.words = self.limbs_of(modulus)
        self.inverse = -pow(modulus, -1, 1 << LIMB_BITS) & LIMB
        top = LIMB_BITS * (limbs - 1)
        self.quotient_factor = (1 << LIMB_BITS) // ((modulus >> top) + 1)
        self.complement = self.limbs_of(self.radix - modulus)

    def limbs_of(self, value: int) -> list[int]:
        """Return an integer's limbs, the highest of any length.

        value: not negative; below 2^(52 · limbs + 12) if the limbs go into 64-bit lanes
        """
        low = [value >> LIMB_BITS * k & LIMB for k in range(self.limbs - 1)]
        return [*low, value >> LIMB_BITS * (self.limbs - 1)]

    def constant(self, value, type_=V8):
        """Return an integer in every lane, carried; not brought below the modulus."""
        return [llvm.splat(type_, limb) for limb in self.limbs_of(value)]

    def load(self, builder, address, offset=0):
        """Limbs from a slot.

        address: i64  of a slot, any alignment
        offset:  bytes from it
        returns: `limbs` vectors as they were stored
        """
        return [llvm.load(builder, address, offset + WORD * LANES * k, V8) for k in range(self.limbs)]

    def store(self, builder, address, value, offset=0):
        """Limbs to a slot: limb k of all lanes at 64 · k bytes."""
        for k in range(self.limbs):
            llvm.store(builder, value[k], address, offset + WORD * LANES * k)

    def carried(self, builder, value, *, wraps=False):
        """Limbs of 52 bits out of signed ones; `wraps` drops what the highest limb has too much.

        The shift is arithmetic: a negative limb borrows from the one above.  A value that is negative as a
        whole leaves a negative highest limb, unless it wraps: then it is taken modulo 2^(52 · limbs).
        """
        out, carry = [], None
        for k in range(self.limbs):
            limb = value[k] if carry is None else builder.add(value[k], carry)
            is_last = k == self.limbs - 1
            if not is_last:
                carry = builder.ashr(limb, llvm.splat(limb.type, LIMB_BITS))
            if wraps or not is_last:
                limb = builder.and_(limb, llvm.splat(limb.type, LIMB))
            out.append(limb)
        return out

    def add(self, builder, left, right):
        """left + right, not carried; limbs hold 64 bits, so up to 2^11 carried values may be added."""
        return [builder.add(a, b) for a, b in zip(left, right, strict=True)]

    def subtract(self, builder, left, right, multiple):
        """left + multiple · modulus - right, not carried; right is at most that multiple.

        Single limbs may become negative, the value does not: `carried` puts that right.
        """
        ample = self.constant(multiple * self.modulus)
        return [builder.sub(builder.add(a, c), b) for a, b, c in zip(left, right, ample, strict=True)]

    def times(self, builder, value, factor):
        """A small multiple, not carried.

        factor: a positive integer below 2^11, so that limbs of 52 bits stay below 2^63
        """
        return [builder.mul(limb, llvm.splat(V8, factor)) for limb in value]

    def select(self, builder, mask, chosen, other):
        """`chosen` in the lanes of the mask, `other` elsewhere, limb by limb."""
        return [builder.select(mask, a, b) for a, b in zip(chosen, other, strict=True)]

    def multiply_at(self, builder, target, left, right):
        """target = left · right / radix as of `multiply`; addresses of slots, the target may be either."""
        if not LANES_BY_FMA:
            product = self.multiply(builder, self.load(builder, left), self.load(builder, right))
            self.store(builder, target, product)
            return
        half = llvm.called(f"{self.name}_lanes_half", self._emit_half)
        for offset in (0, 4 * WORD):
            places = [builder.add(slot, llvm.splat(I64, offset)) for slot in (target, left, right)]
            half(builder, *places)

    def square_at(self, builder, target, value):
        """target = value² / radix as of `square`; addresses of slots, which may be the same."""
        if LANES_BY_FMA:
            self.multiply_at(builder, target, value, value)
        else:
            self.store(builder, target, self.square(builder, self.load(builder, value)))

    def _emit_half(self, builder, target, left, right):
        """target = left · right / radix, of four lanes of slots: 32 bytes of each limb."""
        type_ = ir.VectorType(I64, 4)
        with builder.goto_entry_block():
            memory = builder.alloca(type_, 2 * self.limbs)
        memory.align = 4 * WORD
        room = builder.ptrtoint(memory, I64)
        numbers = [builder.add(room, llvm.splat(I64, 4 * WORD * self.limbs * k)) for k in range(2)]
        for at, slot in zip(numbers, (left, right), strict=True):
            limbs = [llvm.load(builder, slot, WORD * LANES * k, type_) for k in range(self.limbs)]
            for k, limb in enumerate(fma.to_floats(builder, limbs)):
                llvm.store(builder, limb, at, 4 * WORD * k)
        product = self._product_code.emit(builder, *numbers)
        for k, limb in enumerate(self.carried(builder, product)):
            llvm.store(builder, limb, target, WORD * LANES * k)

    @cached_property
    def _product_code(self):
        """The code of a product by FMA."""
        return fma.ProductCode(self.words, self.inverse)

    def multiply(self, builder, left, right):
        """left · right / radix, below 1.2 times the modulus; both carried.

        A row of products by limb i of `left`, then one step of Montgomery's, which leaves a limb fewer.
        left · right may be up to 0.2 · radix · modulus: (left · right + q · modulus) / radix with q < radix.

        Source: Koç, Acar, Kaliski, "Analyzing and comparing Montgomery multiplication algorithms", CIOS.
        """
        if LANES_BY_FMA:
            with builder.goto_entry_block():
                memory = builder.alloca(V8, 2 * self.limbs)
            room = builder.ptrtoint(memory, I64)
            other = builder.add(room, llvm.splat(I64, self.slot))
            self.store(builder, room, left)
            self.store(builder, other, right)
            self.multiply_at(builder, room, room, other)
            return self.load(builder, room)
        zero = llvm.splat(V8, 0)
        sums = [zero] * (self.limbs + 1)
        for i in range(self.limbs):
            for part in (0, 1):
                for j in range(self.limbs):
                    sums[j + part] = multiply_add(builder, part, sums[j + part], left[i], right[j])
            sums = [*self._reduced(builder, sums), zero]
        return self.carried(builder, sums[: self.limbs])

    def square(self, builder, value):
        """value² / radix; each mixed product once.

        The mixed products are summed first and doubled together, then the squares are added, then all is
        reduced.  Value and result are carried, the result below 1.2 times the modulus as of `multiply`.
        """
        sums = [llvm.splat(V8, 0)] * (2 * self.limbs)
        for i in range(self.limbs):
            for j in range(i + 1, self.limbs):
                for part in (0, 1):
                    sums[i + j + part] = multiply_add(builder, part, sums[i + j + part], value[i], value[j])
        sums = [builder.shl(limb, llvm.splat(V8, 1)) for limb in sums]
        for i in range(self.limbs):
            for part in (0, 1):
                sums[2 * i + part] = multiply_add(builder, part, sums[2 * i + part], value[i], value[i])
        for i in range(self.limbs):
            sums[i + 1 : i + 1 + self.limbs] = self._reduced(builder, sums[i : i + 1 + self.limbs])
        return self.carried(builder, sums[self.limbs :])

    def _reduced(self, builder, sums):
        """(sums + q · modulus) / 2^52 for the q that makes it whole; one limb fewer.

        sums:    limbs + 1 vectors, the lowest limb of any size below 2^64
        returns: `limbs` vectors, not carried

        q is the low 52 bits of sums[0] · (-1 / modulus).  The lowest limb then is a multiple of 2^52: its
        upper bits are all that goes on.
        """
        quotient = multiply_add(builder, 0, llvm.splat(V8, 0), sums[0], llvm.splat(V8, self.inverse))
        out = list(sums)
        for part in (0, 1):
            for j, word in enumerate(self.words):
                out[j + part] = multiply_add(builder, part, out[j + part], quotient, llvm.splat(V8, word))
        carry = builder.lshr(out[0], llvm.splat(V8, LIMB_BITS))
        return [builder.add(out[1], carry), *out[2:]]

    def lowered(self, builder, value):
        """A value of 2 to 2^19 moduli, not carried, brought below 2.01 moduli by an estimated quotient.

        The estimate is made of the highest limb alone, less _MARGIN for carries not yet made, so that it is
        never above the true quotient; it is at most one too small, and a little.  quotient · modulus is taken
        away by adding quotient · (radix - modulus) and dropping what goes beyond the highest limb.
        """
        return halved(builder, partial(self._lowered, builder), value)

    def _lowered(self, builder, value):
        """`lowered` of lanes that lie in one register."""
        type_ = value[0].type
        top = builder.sub(value[-1], llvm.splat(type_, _MARGIN))
        estimate = llvm.splat(type_, self.quotient_factor)
        quotient = multiply_add(builder, 1, llvm.splat(type_, 0), top, estimate)
        out = list(value)
        for part in (0, 1):
            for j in range(self.limbs - part):
                factor = llvm.splat(type_, self.complement[j])
                out[j + part] = multiply_add(builder, part, out[j + part], quotient, factor)
        return self.carried(builder, out, wraps=True)

    def canonical(self, builder, value):
        """A carried value below two moduli brought below the modulus.

        One subtraction; where it goes below 0 the highest limb is negative, and the value is kept.
        """
        less = self.carried(
            builder,
            [builder.sub(a, llvm.splat(V8, word)) for a, word in zip(value, self.words, strict=True)],
        )
        return self.select(builder, is_negative(builder, less[-1]), value, less)

    def is_zero(self, builder, value):
        """Mask of the lanes where a carried product is 0 or the modulus.

        Products are below 1.2 moduli, so no other multiple of it can occur; all limbs of all lanes are
        compared.
        """
        nothing, same = value[0], builder.xor(value[0], llvm.splat(V8, self.words[0]))
        for limb, word in zip(value[1:], self.words[1:], strict=True):
            nothing = builder.or_(nothing, limb)
            same = builder.or_(same, builder.xor(limb, llvm.splat(V8, word)))
        return builder.or_(equals(builder, nothing, 0), equals(builder, same, 0))

    def from_words(self, builder, words):
        """Limbs of 52 bits out of vectors of 64-bit words; what is above them is 0.

        words:   vectors of 8 lanes, the lowest word first; a value of at most 52 · limbs bits
        returns: carried limbs
        """
        out = []
        for k in range(self.limbs):
            place, shift = divmod(LIMB_BITS * k, 64)
            if place >= len(words):
                out.append(llvm.splat(V8, 0))
                continue
            limb = builder.lshr(words[place], llvm.splat(V8, shift)) if shift else words[place]
            if shift > 64 - LIMB_BITS and place + 1 < len(words):
                high = builder.shl(words[place + 1], llvm.splat(V8, 64 - shift))
                limb = builder.or_(limb, high)
            out.append(builder.and_(limb, llvm.splat(V8, LIMB)))
        return out

    def to_words(self, builder, value, count):
        """Vectors of `count` 64-bit words out of limbs of 52 bits.

        value: carried, below 2^(64 · count): what is above is dropped
        A word takes bits of two or three limbs.
        """
        out = []
        for word in range(count):
            place, shift = divmod(64 * word, LIMB_BITS)
            joined = builder.lshr(value[place], llvm.splat(V8, shift)) if shift else value[place]
            for above in range(place + 1, self.limbs):
                left = LIMB_BITS * above - 64 * word
                if left < 64:
                    joined = builder.or_(joined, builder.shl(value[above], llvm.splat(V8, left)))
            out.append(joined)
        return out


def multiply_add(builder, part, total, left, right):
    """total + the low (part 0) or high (part 1) 52 bits of left · right, lane by lane.

    left, right: vectors of u64, of which the low 52 bits are read and the others ignored
    total:       vector of u64; the sum wraps at 2^64, so 4096 halves may be added to 0
    Source: Intel's instruction set reference, VPMADD52LUQ and VPMADD52HUQ.
    """
    if LANES_BY_FMA:
        return fma.multiply_add(builder, part, total, left, right)
    name = f"llvm.x86.avx512.vpmadd52{'lh'[part]}.uq.512"
    return builder.call(llvm.function(builder, name, V8, [V8, V8, V8]), [total, left, right])


def halved(builder, function, *values):
    """function(*values) of lists of limbs: where eight lanes take two registers, of one after the other.

    Both at once would need twice the registers that there are.
    """
    if not LANES_BY_FMA:
        return function(*values)
    parts = []
    for lanes in (_FIRST, _SECOND):
        mask = llvm.mask(lanes)
        halves = [[builder.shuffle_vector(limb, limb, mask) for limb in value] for value in values]
        parts.append(function(*halves))
    return [builder.shuffle_vector(*pair, llvm.mask(_FIRST + _SECOND)) for pair in zip(*parts, strict=True)]


def _emit_begin(builder, address):
    """Make products of lanes exact from here on: round toward zero where they are floating-point numbers."""
    if LANES_BY_FMA:
        fma.emit_round_to_zero(builder, address)


def _emit_end(builder, address):
    """Set the rounding that is kept at `address` (8 bytes) since the beginning."""
    if LANES_BY_FMA:
        fma.emit_round_as_before(builder, address)


BEGIN, END = llvm.step(_emit_begin), llvm.step(_emit_end)
"""Around the steps of a kernel that multiplies in lanes; with the address of 8 bytes."""


def equals(builder, limb, value):
    """Mask of the lanes that hold a value, given as an integer."""
    return builder.icmp_unsigned("==", limb, llvm.splat(V8, value))


def is_negative(builder, limb):
    """Mask of the lanes below 0."""
    return builder.icmp_signed("<", limb, llvm.splat(V8, 0))


def mask_bits(builder, mask):
    """A mask as an integer of 8 bits, lane 0 the lowest."""
    return builder.bitcast(mask, llvm.I8)


def mask_of(builder, bits):
    """An integer of 8 bits as a mask, the lowest bit lane 0."""
    return builder.bitcast(bits, ir.VectorType(I1, LANES))


def transposed(builder, rows):
    """Rows of 8 words as columns, in three stages of shuffles.

    rows:    8 vectors of 8 lanes
    returns: 8 vectors: lane i of vector k is lane k of rows[i]

    Stage s (1, 2, 4) exchanges, of each pair of rows that differ in bit s of their number, the lanes of the
    first that have that bit with those of the second that have not.
    """
    for step in (1, 2, 4):
        first_lanes = [lane if not lane & step else LANES + (lane ^ step) for lane in range(LANES)]
        second_lanes = [lane ^ step if not lane & step else LANES + lane for lane in range(LANES)]
        following = list(rows)
        for first in range(LANES):
            if not first & step:
                pair = rows[first], rows[first | step]
                following[first] = builder.shuffle_vector(*pair, llvm.mask(first_lanes))
                following[first | step] = builder.shuffle_vector(*pair, llvm.mask(second_lanes))
        rows = following
    return rows
