"""The commands of venus and sophon programs, as their guides write them, carried out by a pool."""
