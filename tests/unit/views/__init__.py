"""Tests of the documents that are made of a state."""
