"""Number-theoretic transforms over the scalar field on an NVIDIA card: steps and bits of `ntt_words`.

A level of a transform is a launch, a pair of rows a thread.  Loaded by name, as `poseidon_cuda`.
"""

# mypy: allow-untyped-calls, allow-untyped-defs, disable-error-code="attr-defined"

from __future__ import annotations

import numpy as np
from numba import cuda

from workers.kernels.field_cuda import THREADS, device
from workers.kernels.scalar_cuda import add, element_load, element_store, multiply, subtract


@cuda.jit
def split_cuda(rows, roots, half, stride):
    """One level from natural to bit-reversed order: left, right = left + right, (left - right) · root^i.

    rows:  u32[n, 8]    Montgomery values, on the card, in and out; n a power of two
    roots: u32[n/2, 8]  powers of the transform's root, on the card
    half:  i64          rows between left and right: n/2 at the first level, 1 at the last
    stride: i64         n / (2 · half)
    Cost:    a thread a pair, one product.   Threads: as launched; those beyond the last pair do nothing.
    Errors:  none; `snark.card` has made the rows.
    Source:  as `ntt_words.transform_split`.   Twin: tests/naive/ntt.py transform.
    Golden:  none; `snark.domain` with 64-bit words, which has golden values, gives the same bits.
    """
    pair = cuda.grid(1)
    if pair < rows.shape[0] // 2:
        i = pair & (half - 1)
        left = 2 * pair - i
        one, two = element_load(rows, left), element_load(rows, left + half)
        root = element_load(roots, i * stride)
        element_store(rows, left, add(one, two))
        element_store(rows, left + half, multiply(subtract(one, two), root))


@cuda.jit
def join_cuda(rows, roots, half, stride):
    """One level from bit-reversed to natural order: left, right = left ± right · root^i; `half` 1 first.

    rows:  u32[n, 8]    Montgomery values, on the card, in and out; n a power of two
    roots: u32[n/2, 8]  powers of the transform's root, on the card
    half:  i64          rows between left and right
    stride: i64         n / (2 · half)
    Cost:    a thread a pair, one product.   Threads: as launched; those beyond the last pair do nothing.
    Errors:  none; `snark.card` has made the rows.
    Source:  as `ntt_words.transform_join`.   Twin: tests/naive/ntt.py transform.
    Golden:  none; `snark.domain` with 64-bit words, which has golden values, gives the same bits.
    """
    pair = cuda.grid(1)
    if pair < rows.shape[0] // 2:
        i = pair & (half - 1)
        left = 2 * pair - i
        root = element_load(roots, i * stride)
        one, scaled = element_load(rows, left), multiply(element_load(rows, left + half), root)
        element_store(rows, left, add(one, scaled))
        element_store(rows, left + half, subtract(one, scaled))


@device
def _power(low, high, k):
    """Row k of a table of powers, from its first powers and steps of as many.

    low, high: u32[m, 8], m a power of two, and u32[h, 8];  k: i64
    """
    count = low.shape[0]
    return multiply(element_load(low, k & (count - 1)), element_load(high, k // count))


@cuda.jit
def powers_cuda(low, high, out):
    """out[k] = low[k mod m] · high[k / m].

    low, high: u32[m, 8], u32[h, 8]  Montgomery values, on the card; m a power of two
    out:       u32[n, 8]             on the card, every word written
    Cost:    a thread a row, one product.   Threads: as launched; those beyond the last row do nothing.
    Errors:  none; `snark.card` has made the rows.
    Source:  as `ntt_words.powers`.   Twin: tests/naive/ntt.py transform.
    Golden:  none; `snark.domain` with 64-bit words, which has golden values, gives the same bits.
    """
    k = cuda.grid(1)
    if k < out.shape[0]:
        element_store(out, k, _power(low, high, k))


@cuda.jit
def scale_cuda(rows, low, high, out, shift, is_ordered):
    """Row i times power k, where k is i with its bits reversed; written to row i, or k if ordered.

    rows:      u32[n, 8]              Montgomery values, on the card; n a power of two
    low, high: u32[m, 8], u32[h, 8]   as of `powers_cuda`
    out:       u32[n, 8]              on the card, every word written; `rows`, unless ordered
    shift:     i64                    32 - log2 n
    is_ordered: i64                   1 or 0
    Cost:    a thread a row, two products.   Threads: as launched; those beyond the last row do nothing.
    Errors:  none; `snark.card` has made the rows.
    Source:  as `ntt_words.multiply_reversed`, `reorder_reversed`.   Twin: tests/naive/ntt.py transform.
    Golden:  none; `snark.domain` with 64-bit words, which has golden values, gives the same bits.
    """
    i = cuda.grid(1)
    if i < rows.shape[0]:
        k = np.int64(cuda.brev(np.uint32(i))) >> shift
        value = multiply(element_load(rows, i), _power(low, high, k))
        element_store(out, k if is_ordered else i, value)


@cuda.jit
def quotient_cuda(a, b, c, factor):
    """a = (a · b - c) · factor, row by row.

    a, b, c: u32[n, 8]  Montgomery values, on the card
    factor:  u32[1, 8]  Montgomery value, on the card
    Cost:    a thread a row, two products.   Threads: as launched; those beyond the last row do nothing.
    Errors:  none; `snark.card` has made the rows.
    Source:  as `ntt_words.quotient_rows`.   Twin: tests/naive/ntt.py evaluate.
    Golden:  none; `snark.domain` with 64-bit words, which has golden values, gives the same bits.
    """
    i = cuda.grid(1)
    if i < a.shape[0]:
        product = multiply(element_load(a, i), element_load(b, i))
        element_store(a, i, multiply(subtract(product, element_load(c, i)), element_load(factor, 0)))


KERNELS = cuda, THREADS, (split_cuda, join_cuda, powers_cuda, scale_cuda, quotient_cuda)
"""numba.cuda, threads of a block, the kernels in the order in which `snark.card` takes them."""
