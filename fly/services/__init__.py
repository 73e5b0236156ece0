"""Making, deleting and comparing what this server has at Fly."""
