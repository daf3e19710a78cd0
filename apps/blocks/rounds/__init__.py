"""The block service: for each epoch a round, in which each miner draws, proves, signs and submits."""
