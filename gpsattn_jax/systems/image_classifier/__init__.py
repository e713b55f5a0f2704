"""The journey that all image classifiers share."""
