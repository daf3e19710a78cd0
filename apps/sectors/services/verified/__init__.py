"""Verified data: allocations for the pool's miners, read from the chain."""
