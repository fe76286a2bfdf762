"""Tests of what the benchmarks reckon: nothing is measured here."""
