"""The kit for those who write participants."""
