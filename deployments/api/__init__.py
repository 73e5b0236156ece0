"""The JSON API of apps, builds and pushes."""
