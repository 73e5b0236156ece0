"""Settings, addresses, the operators' site, and how gunicorn serves requests."""
