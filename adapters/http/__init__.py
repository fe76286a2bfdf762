"""Speak HTTP to the services of others, by httpx."""
