"""Keep what a participant remembers in its SQL database, by SQLAlchemy."""
