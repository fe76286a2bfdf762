"""The pure machine, as stories and by properties."""
