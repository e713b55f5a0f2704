"""Networks as files that run without our code."""
