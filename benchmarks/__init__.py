"""Benchmarks: each figure beside its baseline in one run, because only the ratio travels."""
