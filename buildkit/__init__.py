"""What BuildKit makes of a Dockerfile and of the ignore file beside it, as far as it can be known without building.

The rules are those of BuildKit's own source (`frontend/dockerfile`: `parser`, `shell`, `instructions` and
`dockerfile2llb`) and of https://docs.docker.com/reference/dockerfile/. Pure, and on its own: the server and the sandbox
both stand on it.
"""
