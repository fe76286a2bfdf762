"""What tests and benchmarks share: private servers and waiting without blind sleeps."""
