"""Measurements of the service; correctness is for the tests."""
