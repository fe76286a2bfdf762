"""The default without any setting: one SQLite file that holds the log, the projections and the messages."""
