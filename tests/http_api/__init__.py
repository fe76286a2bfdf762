"""Tests of the HTTP side: the real application on a real socket, over the embedded store."""
