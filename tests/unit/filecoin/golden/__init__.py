"""Readers of tests/golden/chain: each checks one file and yields once for every entry it has checked."""
