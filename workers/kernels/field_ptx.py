"""Arithmetic of prime fields for NVIDIA's cards, as PTX text: limbs of 32 bits in registers, carry chains.

A sum of products is kept as three rows of words: those of even weight, those of odd weight (so that each
product is one 64-bit pair, which ptxas makes one IMAD.WIDE), and how many carries went out of a chain.
Their sum is the number.  Registers: `%e0`…, `%o1`…, `%c8`…; an element's words are named by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap

from workers.kernels.field import MODULUS
from workers.kernels.montgomery import BASE_MODULUS

_WORD = 0xFFFFFFFF


class CardField:
    """A prime field whose elements are `words` words of 32 bits, times 2^(32 · words), below the modulus.

    Scratch of the lines: %t %m %k %n %z, rows %s and %d, predicate %p.
    """

    def __init__(self, modulus: int, words: int) -> None:
        """Store the odd modulus and the number of words that an element has."""
        self.modulus, self.words = modulus, words
        self.modulus_words = [modulus >> 32 * i & _WORD for i in range(words)]
        self._factor = -pow(modulus, -1, 1 << 32) & _WORD
        """-1 / modulus, modulo 2^32: a word times it is how often the modulus is added to clear that word."""
        self._evens, self._odds = range(2 * words), range(1, 2 * words - 1)
        self._carries = range(words, 2 * words + 1)
        """Weights of the words of each row of a sum."""
        self.sum_words = len(self._evens) + len(self._odds) + len(self._carries)

    def sum_names(self) -> list[str]:
        """Return the registers of a sum, in the order in which it is handed on."""
        rows = (("e", self._evens), ("o", self._odds), ("c", self._carries))
        return [f"%{row}{weight}" for row, weights in rows for weight in weights]

    def product_lines(self, left: Sequence[str], right: Sequence[str]) -> list[str]:
        """Return the lines that add left · right to the sum; 16 carries are counted for 8 words.

        left, right: registers of elements below the modulus.  22 products and more of the scalar field fit:
                     each is below 2^510, a sum of words has 544 bits.
        """
        return [line for i in range(self.words) for line in self._row_lines(left, right[i], i)]

    def reduction_lines(self, out: Sequence[str], plain: Sequence[str], bound: int) -> list[str]:
        """Return the lines that write the sum over the radix, plus plain, below the modulus to `out`.

        out, plain: registers; no plain: nothing is added.  The sum is used up.
        bound:      the result before its last step is below bound times the modulus, and has a word more
        """
        lines = ["mov.u32 %k, 0;"]
        for i in range(self.words):
            lines += self._step_lines(i)
        return lines + self._last_lines(out, plain, bound)

    def multiply_lines(self, out: Sequence[str], left: Sequence[str], right: Sequence[str]) -> list[str]:
        """Return the lines that write left · right over the radix, below the modulus, to `out`.

        Each row of the product is followed by its step, so that few words are needed at a time.
        """
        lines = [f"mov.u32 {name}, 0;" for name in (*self.sum_names(), "%k")]
        for i in range(self.words):
            lines += self._row_lines(left, right[i], i) + self._step_lines(i)
        return lines + self._last_lines(out, [], 2)

    def add_lines(self, out: Sequence[str], left: Sequence[str], right: Sequence[str]) -> list[str]:
        """Return the lines that write left + right, below the modulus, to `out`."""
        lines = _chained("add", "%s", left, right)
        lines += _chained("sub", "%d", self._names("%s"), [str(word) for word in self.modulus_words])
        lines += ["subc.u32 %z, 0, 0;", "setp.eq.u32 %p, %z, 0;"]
        return lines + [f"selp.u32 {name}, %d{i}, %s{i}, %p;" for i, name in enumerate(out)]

    def subtract_lines(self, out: Sequence[str], left: Sequence[str], right: Sequence[str]) -> list[str]:
        """Return the lines that write left - right, below the modulus, to `out`."""
        lines = [*_chained("sub", "%d", left, right), "subc.u32 %z, 0, 0;", "setp.eq.u32 %p, %z, 0;"]
        lines += _chained("add", "%s", self._names("%d"), [str(word) for word in self.modulus_words])
        return lines + [f"selp.u32 {name}, %d{i}, %s{i}, %p;" for i, name in enumerate(out)]

    def declared(self, registers: Sequence[str]) -> list[str]:
        """Return the lines that declare registers, and the scratch of all lines."""
        scratch = [
            "%t",
            "%m",
            "%k",
            "%n",
            "%z",
            *(f"%{row}{i}" for row in "sd" for i in range(self.words + 1)),
        ]
        return [f".reg .u32 {name};" for name in (*registers, *scratch)] + [".reg .pred %p;"]

    def _names(self, row: str) -> list[str]:
        return [f"{row}{i}" for i in range(self.words)]

    def _row_lines(self, left: Sequence[str], word: str, weight: int) -> list[str]:
        """Return the lines that add left · word, its lowest word of so much weight, to the sum."""
        chains = [(weight + first, [(one, word) for one in left[first::2]]) for first in (0, 1)]
        return [line for at, pairs in chains for line in _chain(at, pairs)]

    def _step_lines(self, i: int) -> list[str]:
        """Return the lines that add a multiple of the modulus, so that the sum's word i becomes 0.

        %k: what went out of the words before it.  The scalar field's modulus is 1 modulo 2^32: the factor is
        the word negated there, and takes no product with the lowest word.
        """
        odd = f"%o{i}" if i in self._odds else "0"
        whole = [f"add.cc.u32 %t, %e{i}, {odd};", "addc.u32 %n, 0, 0;"]
        whole += ["add.cc.u32 %t, %t, %k;", "addc.u32 %k, %n, 0;"]
        if self._factor == _WORD:
            # the word and its negation make 2^32, or 0 where it is 0: its borrow is that carry
            lines = [*whole, "sub.cc.u32 %m, 0, %t;", "subc.u32 %z, 0, 0;", "sub.u32 %k, %k, %z;"]
            return lines + self._multiple_lines(i, (1, 2))
        lines = [f"add.u32 %t, %e{i}, {odd};", "add.u32 %t, %t, %k;", f"mul.lo.u32 %m, %t, {self._factor};"]
        return lines + self._multiple_lines(i, (0, 1)) + whole

    def _multiple_lines(self, i: int, firsts: tuple[int, int]) -> list[str]:
        chains = [
            (i + first, [("%m", str(word)) for word in self.modulus_words[first::2]]) for first in firsts
        ]
        return [line for at, pairs in chains for line in _chain(at, pairs)]

    def _last_lines(self, out: Sequence[str], plain: Sequence[str], bound: int) -> list[str]:
        """Return the lines that join the rows, add `plain`, and go from below `bound` moduli to below one."""
        weights, sums = self._carries, [f"%s{i}" for i in range(self.words + 1)]
        high = [f"%e{w}" if w in self._evens else "0" for w in weights]
        lines = _chained("add", "%s", high, [f"%c{w}" for w in weights])
        lines += _chained("add", "%s", sums, [f"%o{w}" if w in self._odds else "0" for w in weights])
        lines += _chained("add", "%s", sums, ["%k", *["0"] * self.words])
        if plain:
            lines += _chained("add", "%s", sums, [*plain, "0"])
        factor = 1 << (bound - 1).bit_length() >> 1
        while factor:
            times = [str(factor * self.modulus >> 32 * i & _WORD) for i in range(self.words + 1)]
            lines += [*_chained("sub", "%d", sums, times), "subc.u32 %z, 0, 0;", "setp.eq.u32 %p, %z, 0;"]
            lines += [f"selp.u32 %s{i}, %d{i}, %s{i}, %p;" for i in range(self.words + 1)]
            factor >>= 1
        return lines + list(starmap("mov.u32 {}, %s{};".format, zip(out, range(self.words), strict=True)))


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


def _chained(operation: str, target: str, left: Sequence[str], right: Sequence[str]) -> list[str]:
    """Return the lines that add or subtract two rows of words; what goes out of the last is in the flag."""
    return [
        f"{operation}{'c' if i else ''}.cc.u32 {target}{i}, {one}, {other};"
        for i, (one, other) in enumerate(zip(left, right, strict=True))
    ]


SCALARS, COORDINATES = CardField(MODULUS, 8), CardField(BASE_MODULUS, 12)
"""The scalar field, and that of the coordinates of G1."""
