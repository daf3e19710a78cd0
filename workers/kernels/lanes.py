"""Sixteen nodes or digests in the lanes of AVX-512 registers: rows become columns, and back.

LLVM takes two or four narrower registers where the machine has no such ones.
"""

from __future__ import annotations

from typing import Any

from workers.kernels import llvm
from workers.kernels.llvm import V16

WIDE = 16
"""Lanes."""
LINE = 64
"""Bytes of a register and of a cache line."""
NODES = WIDE * 32
"""Bytes of sixteen nodes."""


def registers_load(builder: Any, address: Any, count: int) -> list[Any]:
    """Read neighbouring registers: `count` vectors of 16 u32, 64 bytes each, at any alignment."""
    return [llvm.load(builder, address, LINE * i, V16) for i in range(count)]


def registers_store(builder: Any, registers: list[Any], address: Any) -> None:
    """Write registers side by side, 64 bytes each, at any alignment."""
    for i, register in enumerate(registers):
        llvm.store(builder, register, address, LINE * i)


def columns(builder: Any, nodes: Any, words: int) -> list[Any]:
    """The big-endian words of 16 neighbouring messages of 8 or 16 words each, one register a word.

    nodes:   address of u32[16, words]
    words:   8 or 16
    returns: `words` registers; lane i of each is of message i

    Four riffles turn an index's bits by four: message · words + word becomes word · 16 + message.
    """
    rows = registers_load(builder, nodes, words)
    for _ in range(4):
        rows = llvm.interleaved(builder, rows)
    return [llvm.byte_swap(builder, row) for row in rows]


def trimmed(builder: Any, digests: list[Any]) -> list[Any]:
    """16 digests, their two top bits cleared: field elements of 254 bits, little-endian.

    digests: 8 registers of big-endian words.  The two top bits of byte 31 are, in the last word, bits 6 and
             7: bytes are turned only when rows are stored.
    """
    return [*digests[:7], builder.and_(digests[7], llvm.splat(V16, 0xFFFFFF3F))]


def rows_store(builder: Any, digests: list[Any], nodes: Any) -> None:
    """Write 16 digests as neighbouring nodes.

    digests: 8 registers of big-endian words
    nodes:   address of u32[16, 8], output

    Three riffles of 8 registers turn word · 16 + lane into lane · 8 + word.
    """
    rows = [llvm.byte_swap(builder, word) for word in digests]
    for _ in range(3):
        rows = llvm.interleaved(builder, rows)
    registers_store(builder, rows, nodes)
