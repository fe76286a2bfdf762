"""Two example sagas with participants that carry them out: what `saga demo` and `make run` show."""
