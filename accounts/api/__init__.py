"""The JSON API of signing in with the command-line tool."""
