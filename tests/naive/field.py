"""The scalar field of BLS12-381 over Python's integers."""

from __future__ import annotations

from collections.abc import Iterable

MODULUS = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001

EDGES = (0, 1, MODULUS - 1, 2, MODULUS - 2, (1 << 254) - 1, (1 << 64) - 1, 1 << 64, 1 << 128, 1 << 192)
"""Canonical values at which carries and borrows run."""


def add(left: int, right: int) -> int:
    """Left plus right."""
    return (left + right) % MODULUS


def subtract(left: int, right: int) -> int:
    """Left minus right."""
    return (left - right) % MODULUS


def add_scaled(key: int, data: int, factor: int) -> int:
    """Key plus data times factor."""
    return (key + data * factor) % MODULUS


def count_not_canonical(values: Iterable[int]) -> int:
    """How many values are not below the modulus."""
    return sum(value >= MODULUS for value in values)
