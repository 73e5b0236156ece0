"""A stand-in for flyctl, as far as a server needs it: `deploy` and `version`.

It builds nothing: it reads the Dockerfile of the context, prints what BuildKit would, and makes or changes the
app's machine at the sandbox's Fly. Standard library only, since it runs in an environment made from scratch.
Some commands after RUN do what their name says: `exit 1`, `sleep 20`, `echo text`, `cat file`, `silence 30` (nothing
is printed for so many seconds), `flood 100000` (so many lines).
"""
