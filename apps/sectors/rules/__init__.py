"""How sealing is run and what its messages say, computed from rows and facts that are given."""
