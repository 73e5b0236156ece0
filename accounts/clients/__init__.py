"""Calls to outside services."""
