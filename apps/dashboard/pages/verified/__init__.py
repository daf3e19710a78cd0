"""Verified data: allocations whose data are to be taken, and claims."""
