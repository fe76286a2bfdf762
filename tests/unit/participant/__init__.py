"""Tests of the participant kit."""
