"""The console machines."""
