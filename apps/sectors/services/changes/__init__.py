"""Terminations and extensions of proving sectors, from the question to the chain."""
