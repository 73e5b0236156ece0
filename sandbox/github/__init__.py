"""A stand-in for GitHub: sign-in by OAuth and the few API calls that sign-in needs."""
