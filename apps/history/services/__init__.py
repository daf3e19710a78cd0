"""Recording what is measured, once in each slot."""
