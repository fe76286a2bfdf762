"""The check of participants, without a wire."""
