"""The steps of the way into the pool, by what they are about."""
