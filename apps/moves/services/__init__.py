"""What changes which program works for a miner."""
