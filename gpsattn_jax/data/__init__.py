"""Data: files -> batches of NumPy arrays."""
