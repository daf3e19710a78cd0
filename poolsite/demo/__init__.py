"""Made-up data: a pool of 90 days in an empty database, to be looked at; nothing of it is on any chain."""
