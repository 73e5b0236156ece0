"""Apps and machines at Fly (https://fly.io): what this server has there, its clients, and what differs."""
