"""The production coordinators on a simulated bus, store and clock, under seeded faults."""
