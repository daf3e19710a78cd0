"""Fault injection into a devnet."""
