"""Bitfields: sets of numbers as run lengths (RLE+), for sectors and partitions.

A set is a sorted tuple of half-open ranges, so that huge and dense sets stay small.  In RLE+ bits are read
from the lowest of each byte: two bits of version 0, one that says whether 0 is a member, then the lengths of
the alternating runs:

    1                        a run of 1
    01, 4 bits               a run of 2 to 15
    00, varint of 8n bits    a longer run

Zero bits fill the last byte.  A last run of numbers that are not members is left out, so each set is written
in one form.

Source: go-bitfield v0.2.4 rle (rleplus.go, rleplus_writer.go), spec appendix "RLE+ Bitset Encoding".
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from poolsite.filecoin import cbor
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.codec import kind_register
from poolsite.filecoin.kinds import BadField, Kind

MAX_ENCODED_LEN: Final = 32 << 10
"""Longest encoding in bytes."""
MAX_NUMBER: Final = (1 << 64) - 1
"""Largest number that a set may hold: a uint64."""
_VERSION_BITS: Final = 2
"""Bits of the version, which is 0."""
_SHORT_BITS: Final = 4
"""Bits of a run's length in the short form."""
_FLUSH_BITS: Final = 512
"""Bits that are gathered before they are written out as bytes; a multiple of 8."""


class BadBitField(ValueError):
    """Bytes or run lengths that are no set."""


@dataclass(frozen=True, slots=True)
class BitField:
    """An immutable set of numbers; build it with `bitfield_of`."""

    ranges: tuple[tuple[int, int], ...] = ()
    """Half-open, sorted, not touching, none empty."""

    def __iter__(self) -> Iterator[int]:
        """Yield the members, ascending."""
        for start, end in self.ranges:
            yield from range(start, end)

    def __len__(self) -> int:
        """Return the number of members; it may be far above what can be listed (see `numbers`)."""
        return sum(end - start for start, end in self.ranges)

    def __bool__(self) -> bool:
        """Return whether there is a member."""
        return bool(self.ranges)

    def __contains__(self, number: object) -> bool:
        """Return whether a number is a member, in time linear in the ranges."""
        return isinstance(number, int) and any(start <= number < end for start, end in self.ranges)

    def __or__(self, other: BitField) -> BitField:
        """Return the union."""
        return _combine(self, other, keep=lambda a, b: a or b)

    def __and__(self, other: BitField) -> BitField:
        """Return the intersection."""
        return _combine(self, other, keep=lambda a, b: a and b)

    def __sub__(self, other: BitField) -> BitField:
        """Return the members that the other set does not have."""
        return _combine(self, other, keep=lambda a, b: a and not b)

    def since(self, number: int) -> BitField:
        """Return the members that are not smaller than `number`."""
        return BitField(tuple((max(start, number), end) for start, end in self.ranges if end > number))

    def numbers(self, limit: int) -> tuple[int, ...]:
        """Return all members.  Raises BadBitField if there are more than `limit`."""
        if len(self) > limit:
            raise BadBitField(f"too many items: {len(self)}, limit {limit}")
        return tuple(self)

    @property
    def first(self) -> int:
        """Return the smallest member.  Raises BadBitField on the empty set."""
        if not self.ranges:
            raise BadBitField("no bits set")
        return self.ranges[0][0]


def _combine(a: BitField, b: BitField, *, keep: Any) -> BitField:
    """Return the numbers for which `keep` holds, given whether each set has them.

    Between two neighbouring ends of either set's ranges nothing changes, so one test decides for all of it;
    the cost is linear in the ranges, not in the members.
    """
    points = sorted({p for field in (a, b) for pair in field.ranges for p in pair})
    ranges: list[tuple[int, int]] = []
    at_a = at_b = 0
    for start, end in itertools.pairwise(points):
        while at_a < len(a.ranges) and a.ranges[at_a][1] <= start:
            at_a += 1
        while at_b < len(b.ranges) and b.ranges[at_b][1] <= start:
            at_b += 1
        in_a = at_a < len(a.ranges) and a.ranges[at_a][0] <= start
        in_b = at_b < len(b.ranges) and b.ranges[at_b][0] <= start
        if not keep(in_a, in_b):
            continue
        if ranges and ranges[-1][1] == start:
            ranges[-1] = (ranges[-1][0], end)
        else:
            ranges.append((start, end))
    return BitField(tuple(ranges))


def bitfield_of(numbers: Iterable[int]) -> BitField:
    """Return the set of `numbers`, in any order.  Raises BadBitField on one outside 0 .. 2^64-1."""
    ranges: list[list[int]] = []
    for number in sorted(set(numbers)):
        if not 0 <= number <= MAX_NUMBER:
            raise BadBitField(f"{number} does not fit a bitfield")
        if ranges and ranges[-1][1] == number:
            ranges[-1][1] += 1
        else:
            ranges.append([number, number + 1])
    return BitField(tuple((start, end) for start, end in ranges))


EMPTY: Final = BitField()
"""The empty set."""


def bitfield_union(fields: Iterable[BitField]) -> BitField:
    """Return what is in any of them, in one pass over all ranges."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(one for field in fields for one in field.ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return BitField(tuple(merged))


def portions(field: BitField, size: int) -> Iterator[list[int]]:
    """Yield the numbers of a field in lists of at most `size`."""
    portion: list[int] = []
    for number in field:
        portion.append(number)
        if len(portion) == size:
            yield portion
            portion = []
    if portion:
        yield portion


def runs_of(field: BitField) -> list[int]:
    """Return alternating run lengths, the first one of numbers that are not in the set (perhaps 0)."""
    runs, at = [], 0
    for start, end in field.ranges:
        runs += [start - at, end - start]
        at = end
    return runs


def bitfield_of_runs(runs: Iterable[int]) -> BitField:
    """Return the set with these alternating run lengths; empty runs join their neighbours."""
    ranges: list[tuple[int, int]] = []
    at, member = 0, False
    for run in runs:
        if run < 0 or at + run > MAX_NUMBER:
            raise BadBitField("RLE+ overflows")
        if member and run:
            if ranges and ranges[-1][1] == at:
                ranges[-1] = (ranges[-1][0], at + run)
            else:
                ranges.append((at, at + run))
        at += run
        member = not member
    return BitField(tuple(ranges))


def bitfield_to_bytes(field: BitField) -> bytes:
    """Encode as RLE+; the empty set is no bytes at all."""
    runs = runs_of(field)
    if not runs:
        return b""
    first_is_member = runs[0] == 0
    out = bytearray()
    bits, length = (1 if first_is_member else 0) << _VERSION_BITS, _VERSION_BITS + 1
    for run in runs[1:] if first_is_member else runs:
        block, size = _run_bits(run)
        bits |= block << length
        length += size
        if length >= _FLUSH_BITS:  # else each of many runs would shift all bits before it
            out += (bits & ((1 << _FLUSH_BITS) - 1)).to_bytes(_FLUSH_BITS // 8, "little")
            bits >>= _FLUSH_BITS
            length -= _FLUSH_BITS
    out += bits.to_bytes((bits.bit_length() + 7) // 8, "little")
    return bytes(out).rstrip(b"\x00")  # whoever reads it refuses bytes of zeros at the end


def _run_bits(run: int) -> tuple[int, int]:
    """Return one RLE+ block as (bits, number of bits), lowest bit first."""
    if run == 1:
        return 1, 1
    if run < 1 << _SHORT_BITS:
        # 0 and 1 in the order of reading; a longer run has 0 and 0 before its varint.
        return 0b10 | run << 2, 2 + _SHORT_BITS
    bits, size = 0, 2
    while run > 0x7F:
        bits |= (run & 0x7F | 0x80) << size
        run >>= 7
        size += 8
    return bits | run << size, size + 8


def bitfield_from_bytes(data: bytes) -> BitField:
    """Read RLE+.  Raises BadBitField on another version, an overflow, or a last byte of zeros."""
    if not data:
        return EMPTY
    if len(data) > MAX_ENCODED_LEN:
        raise BadBitField(f"encoded bitfield was too large ({len(data)})")
    if data[-1] == 0:
        raise BadBitField("not minimally encoded")
    bits, _left = int.from_bytes(data, "little"), len(data) * 8
    if bits & 0b11:
        raise BadBitField("invalid RLE+ version")
    member = bool(bits >> _VERSION_BITS & 1)
    runs = [0] if member else []
    runs += _runs_read(data)
    return bitfield_of_runs(runs)


def _runs_read(data: bytes) -> Iterator[int]:
    """Yield the run lengths behind the header.  Raises BadBitField on a varint that is cut short or too long.

    Reads a window of bits, so that long inputs stay linear.
    """
    total = len(data) * 8
    at = _VERSION_BITS + 1

    def take(count: int) -> int:
        """Return the next bits as a number, lowest first, at most 17; behind the end they are 0."""
        nonlocal at
        byte = at >> 3
        value = int.from_bytes(data[byte : byte + 3], "little") >> (at & 7)
        at += count
        return value & ((1 << count) - 1)

    while at < total:
        if take(1):
            yield 1
        elif take(1):
            yield take(_SHORT_BITS)
        else:
            run = shift = 0
            while True:
                byte = take(8)
                run |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
                if shift > 63 or at >= total:
                    raise BadBitField("run length is cut short or too long")
            if run == 0 and at >= total:
                return  # the zeros that fill the last byte read like a long run of nothing
            yield run


def bitfield_to_json(field: BitField) -> list[int]:
    """Return the array of run lengths; [0] for the empty set."""
    return runs_of(field) or [0]


def bitfield_from_json(value: Any) -> BitField:
    """Read the array of run lengths.  Raises BadField."""
    if not isinstance(value, list) or any(not isinstance(r, int) or isinstance(r, bool) for r in value):
        raise BadField("", "a bitfield must be a list of run lengths")
    try:
        return bitfield_of_runs(value)
    except BadBitField as error:
        raise BadField("", str(error)) from None


def _encode(field: BitField) -> bytes:
    """Return the CBOR byte string of a set's RLE+."""
    return cbor.bytes_write(bitfield_to_bytes(field))


def _decode(data: bytes, at: int) -> tuple[BitField, int]:
    """Read such a byte string; return the set and the position behind it.  Raises BadCbor."""
    body, end = cbor.bytes_read(data, at)
    try:
        return bitfield_from_bytes(body), end
    except BadBitField as error:
        raise BadCbor(str(error)) from None


BITFIELD: Final = Kind("bitfield", _encode, _decode, bitfield_to_json, bitfield_from_json, EMPTY)
"""The kind of a bitfield inside structs."""
kind_register(BitField, BITFIELD)
