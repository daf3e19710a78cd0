"""A miner's move as it stands: what it rests on, its steps in and out, what lotus-miner needs."""
