"""Batches: which sectors go to the chain together, when, in what form, and what became of them."""
