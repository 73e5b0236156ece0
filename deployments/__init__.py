"""Apps that people deploy, and the builds that bring them to Fly."""
