# mypy: allow-untyped-calls
"""Products of limbs of 52 bits by fused multiply-adds of floating-point numbers, for CPUs with AVX2 alone.

A fused multiply-add rounds once: rounded toward zero, left · right + 2^104 has the high 52 bits of the
product at the end of its significand, and what is left of the product, plus 2^52, its low 52 bits.  So two of
them make the halves that AVX-512 IFMA has as instructions.  Kernels round toward zero while they do so; every
step with such products is a function of its own, as LLVM may move arithmetic across the change of rounding.
Source: Emmart, Zheng, Weems, "Faster modular exponentiation using double precision floating point arithmetic
on the GPU", 2018.
"""

from __future__ import annotations

import struct

from llvmlite import binding, ir  # type: ignore[import-untyped]  # llvmlite has no types

from workers.kernels import llvm
from workers.kernels.llvm import I64

F64 = ir.DoubleType()
LIMB = (1 << 52) - 1
HIGH_BITS, LOW_BITS = 0x467 << 52, 0x433 << 52
"""Bits of 2^104 and 2^52 as numbers: exponents alone, which the halves of a product have above them."""
_HIGH, _LOW = float(1 << 104), float(1 << 52)
_BOTH = float((1 << 104) + (1 << 52))
_ROUND_TO_ZERO = 0x6000
"""In the register of floating-point control."""


def floats(type_):
    """The vector of floating-point numbers as wide as one of integers."""
    return ir.VectorType(F64, type_.count)


def integers(type_):
    """The vector of integers as wide as one of floating-point numbers."""
    return ir.VectorType(I64, type_.count)


def _multiply_add(builder, left, right, add):
    """left · right + add, rounded once."""
    type_ = left.type
    name = f"llvm.fma.v{type_.count}f64"
    return builder.call(llvm.function(builder, name, type_, [type_] * 3), [left, right, add])


def high(builder, left, right):
    """The high 52 bits of a product, plus HIGH_BITS, as integers; and the number that has them."""
    number = _multiply_add(builder, left, right, llvm.splat(left.type, _HIGH))
    return builder.bitcast(number, integers(left.type)), number


def halves(builder, left, right):
    """The low 52 bits of a product, plus LOW_BITS, and the high ones, plus HIGH_BITS, as integers."""
    upper, number = high(builder, left, right)
    rest = builder.fsub(llvm.splat(left.type, _BOTH), number)
    return builder.bitcast(_multiply_add(builder, left, right, rest), integers(left.type)), upper


def to_floats(builder, value):
    """Integers below 2^52 as numbers."""
    out = []
    for limb in value:
        bits = builder.or_(limb, llvm.splat(limb.type, LOW_BITS))
        type_ = floats(limb.type)
        out.append(builder.fsub(builder.bitcast(bits, type_), llvm.splat(type_, _LOW)))
    return out


def to_integers(builder, value):
    """Numbers that are whole and below 2^52 as integers."""
    out = []
    for limb in value:
        bits = builder.bitcast(builder.fadd(limb, llvm.splat(limb.type, _LOW)), integers(limb.type))
        out.append(builder.xor(bits, llvm.splat(bits.type, LOW_BITS)))
    return out


def multiply_add(builder, part, total, left, right):
    """total + the low (part 0) or high (part 1) half of a product, as of `ifma.multiply_add`: integers.

    What two calls have in common, LLVM makes once; it also joins the exponents that sums take away.
    """
    mask = llvm.splat(left.type, LIMB)
    numbers = to_floats(builder, [builder.and_(limb, mask) for limb in (left, right)])
    half = halves(builder, *numbers)[part]
    return builder.add(total, builder.sub(half, llvm.splat(half.type, (LOW_BITS, HIGH_BITS)[part])))


class ProductCode:
    """left · right / 2^(52 · limbs) of four lanes in assembler: LLVM keeps too many values, and moves them.

    For the modulus p of 8 limbs: sums, a limb, the halves of its product and what they are made with are
    fourteen registers.  A limb of `left` at a time: its products with `right` are added, then the multiple of
    the modulus that makes the lowest sum 0 modulo 2^52.
    """

    _REGISTER_BYTES = 32

    def __init__(self, words: list[int], inverse: int) -> None:
        """Write the code.

        words:   limbs of the modulus;  inverse: of its negative, modulo 2^52
        """
        if inverse != (1 << 50) - 3 * (1 + (1 << 16) + (1 << 32)):
            raise ValueError("the code multiplies by this inverse by shifts")
        self.limbs = count = len(words)
        self._sums = [f"%ymm{k}" for k in range(count + 1)]
        self._limb, self._upper, self._lower, self._high, self._both = (
            f"%ymm{count + 1 + k}" for k in range(5)
        )
        self._counts = [0] * (count + 1)
        numbers = [*map(float, words), _HIGH, _BOTH, _LOW]
        self._constants = [struct.unpack("<Q", struct.pack("<d", number))[0] for number in numbers]
        self._constants += [LIMB, LOW_BITS]
        self._lines = [
            f"vmovapd {self._constant(count + k)}, {at}" for k, at in enumerate((self._high, self._both))
        ]
        for i in range(count):
            self._lines += [f"vmovapd {self._REGISTER_BYTES * i}(${count}), {self._limb}"]
            for j in range(count):
                self._add(f"{self._REGISTER_BYTES * j}(${count + 1})", j)
            self._reduce()

    def _constant(self, place: int) -> str:
        """A constant in all lanes, in memory."""
        return f"{self._REGISTER_BYTES * place}(${self.limbs + 2})"

    def _sum(self, half: str, place: int, bits: int) -> None:
        """Add a half to a sum; a sum without bits of exponents is empty."""
        at = self._sums[place]
        self._lines += [f"vpaddq {half}, {at}, {at}" if self._counts[place] else f"vmovdqa {half}, {at}"]
        self._counts[place] += bits

    def _add(self, factor: str, place: int) -> None:
        """Add the halves of the limb's product with a factor in memory."""
        self._lines += [
            f"vmovapd {self._high}, {self._upper}",
            f"vfmadd231pd {factor}, {self._limb}, {self._upper}",
            f"vsubpd {self._upper}, {self._both}, {self._lower}",
            f"vfmadd231pd {factor}, {self._limb}, {self._lower}",
        ]
        self._sum(self._upper, place + 1, HIGH_BITS)
        self._sum(self._lower, place, LOW_BITS)

    def _reduce(self) -> None:
        """Add the multiple of the modulus; the lowest sum goes into the next one, and is empty then.

        The multiple is the sum's low 52 bits times 2^50 - 3 (1 + 2^16 + 2^32): bits of exponents lie above.
        """
        count, lowest, limb, upper, lower = self.limbs, self._sums[0], self._limb, self._upper, self._lower
        mask, bits = self._constant(count + 3), self._constant(count + 4)
        rounding = self._constant(len(self._constants))
        self._constants += [LIMB - self._counts[0] & (1 << 64) - 1]
        self._lines += [
            f"vpsllq $$1, {lowest}, {limb}",
            f"vpaddq {lowest}, {limb}, {limb}",
            f"vpsllq $$16, {limb}, {upper}",
            f"vpsllq $$32, {limb}, {lower}",
            f"vpaddq {upper}, {limb}, {limb}",
            f"vpaddq {lower}, {limb}, {limb}",
            f"vpsllq $$50, {lowest}, {upper}",
            f"vpsubq {limb}, {upper}, {limb}",
            f"vpand {mask}, {limb}, {limb}",
            f"vpor {bits}, {limb}, {limb}",
            f"vsubpd {self._constant(count + 2)}, {limb}, {limb}",
            # the sum becomes a multiple of 2^52, if not 0: its carry is rounded up
            f"vpaddq {rounding}, {lowest}, {lowest}",
            f"vpsrlq $$52, {lowest}, {lowest}",
            f"vpaddq {lowest}, {self._sums[1]}, {self._sums[1]}",
            f"vmovapd {self._high}, {upper}",
            f"vfmadd231pd {self._constant(0)}, {limb}, {upper}",
        ]
        self._sum(upper, 1, HIGH_BITS)
        for j in range(1, count):
            self._add(self._constant(j), j)
        self._sums = [*self._sums[1:], lowest]
        self._counts = [*self._counts[1:], 0]

    def emit(self, builder, left, right):
        """The product's limbs, not carried, of numbers at i64 addresses.

        left, right: limb k at 32 · k bytes; on multiples of 32
        returns:     vectors of 4 integers, none negative
        """
        count, module, name = self.limbs, builder.module, f"fma_constants_{self.limbs}"
        table = module.globals.get(name)
        if table is None:
            type_ = ir.ArrayType(I64, 4 * len(self._constants))
            table = ir.GlobalVariable(module, type_, name)
            table.linkage, table.global_constant, table.align = "internal", True, self._REGISTER_BYTES
            table.initializer = ir.Constant(type_, [bits for bits in self._constants for _ in range(4)])
        made = self._sums[:count]
        others = [f"~{{ymm{k}}}" for k in range(16) if f"%ymm{k}" not in made]
        bounds = [*(f"={{{register[1:]}}}" for register in made), "r", "r", "r", *others, "~{memory}"]
        type_ = ir.FunctionType(ir.LiteralStructType([ir.VectorType(I64, 4)] * count), [I64] * 3)
        binding.initialize_native_asmparser()
        code = ir.InlineAsm(type_, "\n".join(self._lines), ",".join(bounds), side_effect=False)
        out = builder.call(code, [left, right, builder.ptrtoint(table, I64)])
        sums = [builder.extract_value(out, k) for k in range(count)]
        return [
            builder.sub(limb, llvm.splat(limb.type, bits & (1 << 64) - 1))
            for limb, bits in zip(sums, self._counts, strict=False)
        ]


def _control(builder, way, address, offset):
    """Read ("ld") or write ("st") the thread's floating-point control, 4 bytes at address + offset."""
    pointer = llvm.pointer(builder, address, offset, llvm.I8)
    name = f"llvm.x86.sse.{way}mxcsr"
    builder.call(llvm.function(builder, name, llvm.VOID, [pointer.type]), [pointer])


def emit_round_to_zero(builder, address):
    """Keep the control at `address` (8 bytes) and round toward zero from here on."""
    _control(builder, "st", address, 0)
    control = builder.or_(llvm.load(builder, address, 0, llvm.I32), llvm.splat(llvm.I32, _ROUND_TO_ZERO))
    llvm.store(builder, control, address, 4)
    _control(builder, "ld", address, 4)


def emit_round_as_before(builder, address):
    """Set the control that is kept at `address`."""
    _control(builder, "ld", address, 0)
