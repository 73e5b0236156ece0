"""Measures the server beside a yardstick, in alternation, in one run."""
