"""Multisigs: what waits in them for whom, and each signer's act."""
