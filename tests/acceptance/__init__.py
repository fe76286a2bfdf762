"""The real command on a real broker and a real store, seen from outside."""
