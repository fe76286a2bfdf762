"""The contract for other programs: models of the messages, their JSON Schemas, the AsyncAPI document."""
