"""Measures the server beside two yardsticks, in alternation, in one run."""
