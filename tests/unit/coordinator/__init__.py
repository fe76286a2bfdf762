"""The coordinator's parts that need no store: the door, the rulings, the cache, turns, projecting."""
