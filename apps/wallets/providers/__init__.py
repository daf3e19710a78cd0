"""Wallets that the pool connects to, as connections of its gateway."""
