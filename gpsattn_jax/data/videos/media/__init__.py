"""Video files: sampled by time, and written (needs PyAV)."""
