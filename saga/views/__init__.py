"""State as documents for people and programs to read; pure."""
