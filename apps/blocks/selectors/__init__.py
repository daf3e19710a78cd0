"""Reads of block production: who mines, rounds and blocks for a viewer."""
