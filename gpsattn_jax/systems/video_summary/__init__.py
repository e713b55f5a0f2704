"""A video in, a summary out."""
