"""A stand-in for Fly: the Machines API, the logs API, and the address of every app.

Sources: https://fly.io/docs/machines/api/ and the source of flyctl and fly-go.
"""
