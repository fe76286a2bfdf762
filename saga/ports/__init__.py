"""What the domain needs of the outside world, at the height of the domain."""
