"""Small pieces of LLVM code that the kernels' intrinsics are put together from.

Everything here runs while a kernel is being compiled; nothing of it exists at run time.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]  # llvmlite has no types
from numba import types
from numba.extending import intrinsic

from workers.kernels.cpu import LANES_BY_FMA

_REGISTER_BYTES = 32
"""Of AVX2.  LLVM keeps them on a stack that is aligned to 16, where half of them lie across two cache lines:
a product of lanes then takes a fifth longer."""
VOID: Any = ir.VoidType()
I1: Any = ir.IntType(1)
I8: Any = ir.IntType(8)
I32: Any = ir.IntType(32)
I64: Any = ir.IntType(64)
I128: Any = ir.IntType(128)
V4: Any = ir.VectorType(I32, 4)
"""Four 32-bit words: one SHA-NI register."""
V16: Any = ir.VectorType(I32, 16)
"""Sixteen 32-bit lanes: one AVX-512 register, two or four narrower ones elsewhere."""
W8: Any = ir.VectorType(I32, 8)
"""Eight 32-bit lanes: one AVX2 register, two narrower ones elsewhere."""
V8: Any = ir.VectorType(I64, 8)
"""Eight 64-bit lanes: one AVX-512 register."""


def vector(type_: Any, values: Sequence[float]) -> Any:
    """A constant vector of the given type; one value a lane, lane 0 first."""
    return ir.Constant(type_, [ir.Constant(type_.element, value) for value in values])


def splat(type_: Any, value: float) -> Any:
    """A constant with `value` in every lane; also for plain integers, which have but one."""
    if isinstance(type_, ir.VectorType):
        return vector(type_, [value] * type_.count)
    return ir.Constant(type_, value)


def spread(builder: Any, value: Any, lanes: int) -> Any:
    """A vector that has a value of the code in every lane."""
    first = builder.insert_element(undefined(ir.VectorType(value.type, lanes)), value, ir.Constant(I32, 0))
    return builder.shuffle_vector(first, first, mask([0] * lanes))


def undefined(type_: Any) -> Any:
    """A value that nobody reads: LLVM may take any register for it."""
    return ir.Constant(type_, ir.Undefined)


def mask(values: list[int]) -> Any:
    """A shuffle mask: which lane of both operands, numbered through, each lane of the result is."""
    return vector(ir.VectorType(I32, len(values)), values)


def function(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """The external function (an LLVM intrinsic) of that name, declared once per module."""
    module = builder.module
    known = module.globals.get(name)
    return ir.Function(module, ir.FunctionType(result, arguments), name) if known is None else known


def pointer(builder: Any, address: Any, offset: int, type_: Any) -> Any:
    """`address` + `offset` bytes as a pointer to `type_`.

    address: i64  in the code; offset: an integer that is known now
    """
    if offset:
        address = builder.add(address, ir.Constant(I64, offset))
    return builder.inttoptr(address, type_.as_pointer())


def load(builder: Any, address: Any, offset: int, type_: Any) -> Any:
    """Read a value of any type from an unaligned address.

    The alignment of 1 is said on purpose: LLVM would take the type's own and use instructions that fault.
    """
    value = builder.load(pointer(builder, address, offset, type_))
    value.align = 1
    return value


def store(builder: Any, value: Any, address: Any, offset: int) -> None:
    """Write a value of any type to an unaligned address."""
    builder.store(value, pointer(builder, address, offset, value.type)).align = 1


def byte_swap(builder: Any, value: Any) -> Any:
    """Reverse the bytes of each integer of a scalar or vector."""
    type_ = value.type
    lanes = f"v{type_.count}i{type_.element.width}" if isinstance(type_, ir.VectorType) else f"i{type_.width}"
    return builder.call(function(builder, f"llvm.bswap.{lanes}", type_, [type_]), [value])


def interleaved(builder: Any, vectors: list[Any]) -> list[Any]:
    """The lanes of the first and of the second half of the vectors, in turns.

    As often as the number of vectors can be halved, it turns rows into columns: lane c of vector r, of n,
    comes to place c·n + r.
    """
    half, lanes = len(vectors) // 2, vectors[0].type.count
    turns = [lane for pair in zip(range(lanes), range(lanes, 2 * lanes), strict=True) for lane in pair]
    return [
        builder.shuffle_vector(first, second, mask(part))
        for first, second in zip(vectors[:half], vectors[half:], strict=True)
        for part in (turns[:lanes], turns[lanes:])
    ]


def rotate_right(builder: Any, value: Any, count: int) -> Any:
    """Rotate each integer of a scalar or vector; LLVM turns it into a rotate instruction."""
    type_ = value.type
    bits = type_.element.width if isinstance(type_, ir.VectorType) else type_.width
    high = builder.shl(value, splat(type_, bits - count))
    return builder.or_(builder.lshr(value, splat(type_, count)), high)


def ternary(builder: Any, table: int, values: list[Any]) -> Any:
    """Any logic of three vectors of 16 lanes by AVX-512: bit 4a + 2b + c of `table` is its value.

    values: three vectors of one type, a, b, c; only for machines of which `cpu.has_ternary_logic` is true
    """
    type_ = values[0].type
    name = f"llvm.x86.avx512.pternlog.d.{type_.count * type_.element.width}"
    logic = function(builder, name, type_, [type_, type_, type_, I32])
    return builder.call(logic, [*values, splat(I32, table)])


def loop(builder: Any, count: Any, carried: list[Any], body: Any) -> list[Any]:
    """`for i in range(count)` with loop-carried values; `body(i, values)` returns the next ones.

    count:   i64  at least 1: it is compared after the first turn
    carried: values before the first turn; they become phi nodes, so they may stay in registers
    body:    called once; it may write blocks of its own, as the last one is looked up after it
    returns: the values after the last turn
    """
    entry, head = builder.block, builder.function.append_basic_block("turn")
    builder.branch(head)
    builder.position_at_end(head)
    index = builder.phi(I64)
    index.add_incoming(ir.Constant(I64, 0), entry)
    values = [builder.phi(value.type) for value in carried]
    for phi, value in zip(values, carried, strict=True):
        phi.add_incoming(value, entry)
    following = body(index, list(values))
    index_next = builder.add(index, ir.Constant(I64, 1))
    last = builder.block
    index.add_incoming(index_next, last)
    for phi, value in zip(values, following, strict=True):
        phi.add_incoming(value, last)
    done = builder.function.append_basic_block("done")
    builder.cbranch(builder.icmp_unsigned("<", index_next, count), head, done)
    builder.position_at_end(done)
    return list(following)


def called(name: str, emit: Callable[..., None]) -> Callable[..., None]:
    """Code that calls `emit`'s as a function of its own: long code that many places need compiles once.

    name: one for each code: the first function of that name in a module is taken for all
    emit: emit(builder, *addresses); all arguments are i64, nothing is returned
    """

    def emit_call(builder: Any, *arguments: Any) -> None:
        """Call the function; write it first where the module does not have it yet."""
        module = builder.module
        known = module.globals.get(name)
        if known is None:
            known = ir.Function(module, ir.FunctionType(VOID, [I64] * len(arguments)), name)
            known.linkage = "internal"
            known.attributes.add("noinline")
            if LANES_BY_FMA:
                known.attributes.alignstack = _REGISTER_BYTES
            inner = ir.IRBuilder(known.append_basic_block("entry"))
            emit(inner, *known.args)
            inner.ret_void()
        builder.call(known, arguments)

    emit_call.__signature__ = inspect.signature(emit)  # type: ignore[attr-defined]  # `step` counts by it
    return emit_call


def step(emit: Callable[..., None]) -> Any:
    """A function for kernels whose code `emit(builder, *arguments)` writes; all arguments are i64.

    It is inlined into the kernel that calls it and returns nothing: results go to memory.
    """

    def typed(_context: Any, *given: Any) -> Any:
        """Return the signature of a call and how its code is generated, as numba asks of an intrinsic."""

        def code(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            """Write the code; numba takes the dummy for None."""
            emit(builder, *arguments)
            return context.get_dummy_value()

        return types.void(*[types.int64] * len(given)), code

    typed.__signature__ = inspect.signature(emit)  # type: ignore[attr-defined]  # numba counts arguments by it
    return intrinsic(typed)
