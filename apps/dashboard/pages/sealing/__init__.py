"""Sealing: who runs which stage, and what limits the farm."""
