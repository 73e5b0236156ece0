"""Machines, their members, and the tokens given out for them."""
