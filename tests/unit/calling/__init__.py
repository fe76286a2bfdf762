"""Calling services over HTTP: what answers mean, and which address is next; all in virtual time."""
