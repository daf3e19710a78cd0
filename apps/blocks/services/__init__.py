"""Writes of block production: rounds, the guard of heights, what became of blocks."""
