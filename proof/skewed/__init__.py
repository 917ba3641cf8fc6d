"""Skewed clocks: a directory to be put on the path of a worker."""
