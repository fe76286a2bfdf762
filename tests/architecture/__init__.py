"""Tests that read the source: rules that no linter can be told."""
