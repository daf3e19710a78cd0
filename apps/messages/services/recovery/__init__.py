"""Recovery after a restore: noticing it, reading the chain back, and giving rows what was sent since."""

from __future__ import annotations
