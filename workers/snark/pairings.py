"""Products of many pairings, of points as rows, with one final exponentiation for all.

blspy ends every pairing with one of its own, which takes more than half of it; but its module carries blst
and exports it, so a product goes to blst as a whole.  A build that hides those names takes them one by one.
Source: supranational/blst bindings/blst.h (blst_miller_loop_n, blst_final_exp); points lie there as rows do
here: coordinates of 6 words in Montgomery form of 2^384.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import TYPE_CHECKING, Any

import blspy
import numpy as np
from blspy import G1Element, G2Element, GTElement

from poolsite.filecoin.groth16.target import pairing_product, target_unit
from workers.snark.points import G1, G2, point_compress

if TYPE_CHECKING:
    from workers.snark.arrays import Words

_TARGET_BYTES = 576
"""An element of the target group, as blst and blspy hold it."""


def rows_pairing_product(left: Words, right: Words) -> GTElement:
    """Return Π e(left, right) over rows of G1 and of G2, as many of each; infinity adds nothing.

    left: u64[n, 12]; right: u64[n, 24].
    """
    some = left.any(axis=1) & right.any(axis=1)
    left, right = np.ascontiguousarray(left[some]), np.ascontiguousarray(right[some])
    if not len(left):
        return target_unit()
    blst = _blst()
    if blst is None:
        return pairing_product(
            [G1Element.from_bytes(point_compress(G1, row)) for row in left],
            [G2Element.from_bytes(point_compress(G2, row)) for row in right],
        )
    product = ctypes.create_string_buffer(_TARGET_BYTES)
    blst.blst_miller_loop_n(product, _addresses(right), _addresses(left), ctypes.c_size_t(len(left)))
    blst.blst_final_exp(product, product)
    return GTElement.from_bytes(product.raw)


def _addresses(rows: Words) -> Any:
    """Return the addresses of rows, which must live as long as they are used."""
    width, first = rows.strides[0], rows.ctypes.data
    return (ctypes.c_void_p * len(rows))(*range(first, first + width * len(rows), width))


@cache
def _blst() -> Any:
    """Return blspy's module as a library; None where it does not export what products need."""
    try:
        library = ctypes.CDLL(blspy.__file__)
        loop, final = library.blst_miller_loop_n, library.blst_final_exp
    except (OSError, AttributeError):
        return None
    loop.restype = final.restype = None
    return library
