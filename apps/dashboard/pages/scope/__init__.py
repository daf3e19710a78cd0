"""Choosing the tenant and the miner to which pages are narrowed."""
