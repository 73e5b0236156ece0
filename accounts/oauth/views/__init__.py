"""Addresses of the authorization server, one module per subject."""
