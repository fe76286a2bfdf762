"""Benchmarks: every figure beside its baseline in the same run, because only the ratio travels between machines."""
