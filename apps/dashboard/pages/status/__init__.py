"""The status page: how the pool's components are and were, for everybody if the operator wants so."""
