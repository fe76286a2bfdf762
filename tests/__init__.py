"""The tests of Batuta, sorted by how far they are from the outside world."""
