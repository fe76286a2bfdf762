"""What the operating system gives: ids."""
