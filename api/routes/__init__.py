"""The routes, by what they are about; each only translates between HTTP and a use case."""
