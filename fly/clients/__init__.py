"""Clients of Fly: its Machines API, and flyctl."""
