"""What follows from rows of alerts that are given."""
