"""Carry out steps by calling services over HTTP: what an answer means, which address is next, and the wait."""
