"""A stand-in for Nango: its public API, its connect pages and its webhooks.

Strictness, status codes, error bodies and spellings of times follow what a real server answers,
also where that differs from its OpenAPI document.
"""
