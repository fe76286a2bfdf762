"""Webhooks: what is sent to a process's callback address, how it is signed, and how a receiver checks that."""

from saga.webhooks.signature import InvalidSignature, verify_signature

__all__ = ["InvalidSignature", "verify_signature"]
