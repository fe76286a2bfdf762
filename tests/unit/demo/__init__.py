"""Tests of the demo's sagas and participants."""
