"""The control interface: what tests do to the sandbox itself. `README.md` has the table."""
