"""Tests of the testing kit that go beyond the ports' contract."""
