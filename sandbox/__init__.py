"""Stand-ins for GitHub, Nango and Fly: one process, real HTTP, state in memory.

Started with `python -m sandbox`. The server under development speaks to it over loopback only and
never imports it; it imports nothing of the server's either. `README.md` beside this file has the
control interface.
"""
