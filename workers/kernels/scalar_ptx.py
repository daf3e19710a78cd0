"""Products in the scalar field for NVIDIA's cards, as PTX text: limbs of 32 bits in registers, carry chains.

A sum of products is kept as three rows of words: those of even weight, those of odd weight (so that each
product is one 64-bit pair, which ptxas makes one IMAD.WIDE), and how many carries went out of a chain.
Their sum is the number.  Registers: `%e0`…, `%o1`…, `%c8`…; an element's words are named by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap

from workers.kernels.field import MODULUS

WORDS = 8
"""Words of 32 bits of an element."""
EVENS, ODDS, CARRIES = range(16), range(1, 15), range(8, 17)
"""Weights of the words of each row of a sum."""
SUM_WORDS = len(EVENS) + len(ODDS) + len(CARRIES)
MODULUS_WORDS = [MODULUS >> 32 * i & 0xFFFFFFFF for i in range(WORDS)]


def sum_names(prefix: str = "%") -> list[str]:
    """Return the registers of a sum, in the order in which it is handed on."""
    rows = (("e", EVENS), ("o", ODDS), ("c", CARRIES))
    return [f"{prefix}{row}{weight}" for row, weights in rows for weight in weights]


def _chain(weight: int, pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Return the lines that add neighbouring products, two words apart, to the row of their weight."""
    row, lines = "o" if weight % 2 else "e", []
    for k, (left, right) in enumerate(pairs):
        at, c = weight + 2 * k, "c" if k else ""
        low, high = f"%{row}{at}", f"%{row}{at + 1}"
        lines.append(f"mad{c}.lo.cc.u32 {low}, {left}, {right}, {low};")
        lines.append(f"madc.hi.cc.u32 {high}, {left}, {right}, {high};")
    out = f"%c{weight + 2 * len(pairs)}"
    return [*lines, f"addc.u32 {out}, {out}, 0;"]


def product_lines(left: Sequence[str], right: Sequence[str]) -> list[str]:
    """Return the lines that add left · right to the sum: 64 products of words, 16 carries counted.

    left, right: registers of elements below r.  22 products and more fit: each is below 2^510, a sum of
                 words has 544 bits.
    """
    lines: list[str] = []
    for i in range(WORDS):
        for first in (0, 1):
            lines += _chain(i + first, [(left[j], right[i]) for j in range(first, WORDS, 2)])
    return lines


def reduction_lines(out: Sequence[str], plain: Sequence[str], bound: int) -> list[str]:
    """Return the lines that write sum / 2^256 + plain modulo r, below r, to `out`; the sum is used up.

    out, plain: registers; no plain: nothing is added
    bound:      the result before its last step is below bound · r, at most 16 · r
    Scratch:    %t %m %k %n %z, %s0 … %s8, %d0 … %d8, predicate %p.

    r is 1 modulo 2^32: a step's factor is the lowest word negated, and takes no product with it.
    """
    lines = ["mov.u32 %k, 0;"]
    for i in range(WORDS):
        lines += [f"add.cc.u32 %t, %e{i}, %o{i};" if i else "add.cc.u32 %t, %e0, 0;", "addc.u32 %n, 0, 0;"]
        lines += ["add.cc.u32 %t, %t, %k;", "addc.u32 %k, %n, 0;", "sub.cc.u32 %m, 0, %t;"]
        # the word and its negation make 2^32, or 0 where it is 0: its borrow is that carry
        lines += ["subc.u32 %z, 0, 0;", "sub.u32 %k, %k, %z;"]
        for first in (1, 2):
            factors = [str(MODULUS_WORDS[j]) for j in range(first, WORDS, 2)]
            lines += _chain(i + first, [("%m", factor) for factor in factors])
    lines += _added("%s", [f"%e{w}" if w < 16 else "0" for w in CARRIES], [f"%c{w}" for w in CARRIES])
    lines += _added("%s", [f"%s{i}" for i in range(9)], [f"%o{w}" if w < 15 else "0" for w in CARRIES])
    lines += _added("%s", [f"%s{i}" for i in range(9)], ["%k", *["0"] * 8])
    if plain:
        lines += _added("%s", [f"%s{i}" for i in range(9)], [*plain, "0"])
    factor = 1 << (bound - 1).bit_length() >> 1
    while factor:
        times = [factor * MODULUS >> 32 * i & 0xFFFFFFFF for i in range(9)]
        for i, word in enumerate(times):
            step = "sub.cc" if i == 0 else "subc.cc"
            lines.append(f"{step}.u32 %d{i}, %s{i}, {word};")
        lines += ["subc.u32 %z, 0, 0;", "setp.eq.u32 %p, %z, 0;"]
        lines += [f"selp.u32 %s{i}, %d{i}, %s{i}, %p;" for i in range(9)]
        factor >>= 1
    return lines + list(starmap("mov.u32 {}, %s{};".format, zip(out, range(WORDS), strict=True)))


def _added(target: str, left: Sequence[str], right: Sequence[str]) -> list[str]:
    """Return the lines that add two rows of nine words."""
    steps = ("add.cc", *["addc.cc"] * 7, "addc")
    return [
        f"{step}.u32 {target}{i}, {one}, {other};"
        for i, (step, one, other) in enumerate(zip(steps, left, right, strict=True))
    ]


def declared(registers: Sequence[str]) -> list[str]:
    """Return the lines that declare registers, and those of `reduction_lines`."""
    scratch = ["%t", "%m", "%k", "%n", "%z", *(f"%{row}{i}" for row in "sd" for i in range(9))]
    return [f".reg .u32 {name};" for name in (*registers, *scratch)] + [".reg .pred %p;"]
