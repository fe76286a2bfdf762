"""The image and the compose file, built and run for real: `make containers`."""
