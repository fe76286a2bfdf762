"""Definitions: both spellings, the checks, the graph, parameters."""
