"""Gadgets on numbers: variables of the scalar field.

Source: argumentcomputer/bellpepper crates/bellpepper-core/src/gadgets/num.rs,
crates/bellpepper/src/gadgets/multipack.rs;
rust-fil-proofs storage-proofs-core/src/gadgets/constraint.rs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.snark.constraints import ONE

if TYPE_CHECKING:
    from workers.snark.constraints import Combination
    from workers.snark.part_builder import PartBuilder

UNIT: Combination = {ONE: 1}


def add_to(total: Combination, combination: Combination, factor: int = 1) -> Combination:
    """Add factor · combination to `total`, and return it."""
    for code, coefficient in combination.items():
        total[code] = total.get(code, 0) + coefficient * factor
    return total


def inputize(part: PartBuilder, number: int) -> None:
    """Make a number public."""
    public = part.input_new()
    part.assign({number: 1}, public)
    part.enforce({public: 1}, UNIT, {number: 1})


def equal(part: PartBuilder, left: int, right: int) -> None:
    """Require two numbers to be equal."""
    part.enforce({left: 1}, UNIT, {right: 1})


def product(part: PartBuilder, left: int, right: int) -> int:
    """Return left · right."""
    result = part.aux_new()
    part.enforce({left: 1}, {right: 1}, {result: 1}, solved=result)
    return result


def number_of(part: PartBuilder, combination: Combination) -> int:
    """Return a variable that equals a combination."""
    result = part.aux_new()
    part.enforce(combination, UNIT, {result: 1}, solved=result)
    return result
