"""The steps of the way out of the pool, by what they are about."""
