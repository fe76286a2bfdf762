"""What the log answers: whether projections and decisions still follow from it, and what was when."""
