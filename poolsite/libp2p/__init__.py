"""The serving side of libp2p over TCP: Noise or TLS, yamux, multistream-select, identify; with limits on all
that a stranger may take.

Plain Python on `cryptography`; see docs/decisions for why no library does it.
"""
