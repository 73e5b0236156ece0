"""gunicorn's worker as this server has it: the waiting is done by one loop per process, and threads only work."""
