"""A run planned on this machine: compiled for devices that need not be there."""
