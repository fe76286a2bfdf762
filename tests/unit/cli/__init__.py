"""Tests of the command line: its parts here, and the real command as a subprocess."""
