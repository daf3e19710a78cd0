"""Writing connections, and requests to signers from anywhere in the pool."""
