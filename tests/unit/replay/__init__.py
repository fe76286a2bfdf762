"""Tests of what the log answers."""
