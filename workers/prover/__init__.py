"""The prover: makes proofs of storage out of the store's files."""
