"""Tests without I/O; the folders mirror those of the code."""
