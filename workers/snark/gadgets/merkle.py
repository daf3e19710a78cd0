"""Inclusion proofs.

Source: rust-fil-proofs storage-proofs-core/src/gadgets/insertion.rs, por.rs PoRCircuit and
por_no_challenge_input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.snark.constraints import ONE
from workers.snark.gadgets.booleans import bit_new, combination_of, conjunction, pack_input
from workers.snark.gadgets.numbers import add_to, equal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workers.snark.gadgets.booleans import Boolean
    from workers.snark.part_builder import PartBuilder

    NodeGadget = Callable[[PartBuilder, Sequence[int]], int]


def pick(part: PartBuilder, condition: Boolean, if_true: int, if_false: int) -> int:
    """Return one of two numbers."""
    result = part.aux_new()
    difference = add_to({if_false: 1}, {if_true: -1})
    rest = add_to({if_false: 1}, {result: -1})
    part.enforce(difference, combination_of(condition), rest, solved=result)
    return result


def insert(part: PartBuilder, node: int, bits: Sequence[Boolean], siblings: Sequence[int]) -> list[int]:
    """Return `siblings` with `node` at the place that the bits name, the lowest bit first."""
    if len(siblings) == 1:
        return [pick(part, bits[0], siblings[0], node), pick(part, bits[0], node, siblings[0])]
    return (
        _insert_4(part, node, bits, siblings) if len(siblings) == 3 else _insert_8(part, node, bits, siblings)
    )


def _insert_4(part: PartBuilder, a: int, bits: Sequence[Boolean], siblings: Sequence[int]) -> list[int]:
    (b0, b1), (b, c, d) = bits, siblings
    return [
        pick(part, b1, b, pick(part, b0, b, a)),
        pick(part, b1, c, pick(part, b0, a, b)),
        pick(part, b1, pick(part, b0, d, a), c),
        pick(part, b1, pick(part, b0, a, d), d),
    ]


def _insert_8(part: PartBuilder, a: int, bits: Sequence[Boolean], siblings: Sequence[int]) -> list[int]:
    (b0, b1, b2), (b, c, d, e, f, g, h) = bits, siblings
    neither_code = part.aux_new()
    part.enforce(
        add_to({ONE: 1}, combination_of(b0), -1),
        add_to({ONE: 1}, combination_of(b1), -1),
        {neither_code: 1},
        solved=neither_code,
    )
    neither: Boolean = (False, neither_code)
    both = conjunction(part, b0, b1)
    return [
        pick(part, b2, b, pick(part, neither, a, b)),
        pick(part, b2, c, pick(part, b1, c, pick(part, b0, a, b))),
        pick(part, b2, d, pick(part, b1, pick(part, b0, d, a), c)),
        pick(part, b2, e, pick(part, both, a, d)),
        pick(part, b2, pick(part, neither, a, f), e),
        pick(part, b2, pick(part, b1, g, pick(part, b0, a, f)), f),
        pick(part, b2, pick(part, b1, pick(part, b0, h, a), g), g),
        pick(part, b2, pick(part, both, a, h), h),
    ]


def inclusion(
    part: PartBuilder, leaf: int, *, arities: Sequence[int], root: int, node_gadget: NodeGadget
) -> None:
    """Require `leaf` to lie under `root`; its index becomes public.

    The caller gives for each row, leaf's first: the bits of the place among the children, then the siblings.
    """
    index, node = [], leaf
    for arity in arities:
        bits = [bit_new(part) for _ in range(arity.bit_length() - 1)]
        index += bits
        siblings = [part.assigned_new() for _ in range(arity - 1)]
        node = node_gadget(part, insert(part, node, bits, siblings))
    pack_input(part, index)
    equal(part, node, root)


def inclusion_at(
    part: PartBuilder,
    leaf: int,
    *,
    bits: Sequence[Boolean],
    siblings: Sequence[Sequence[int]],
    root: int,
    node_gadget: NodeGadget,
) -> None:
    """Require `leaf` to lie under `root` at the place that `bits` name."""
    node, used = leaf, 0
    for row in siblings:
        count = (len(row) + 1).bit_length() - 1
        node = node_gadget(part, insert(part, node, bits[used : used + count], row))
        used += count
    equal(part, node, root)
