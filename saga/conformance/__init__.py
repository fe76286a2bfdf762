"""`saga participant check`: act as the orchestrator, and judge how a participant of any language bears it."""
