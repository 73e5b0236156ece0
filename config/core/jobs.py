"""The queues of jobs, and whether this worker process is to end."""

import threading

# Builds and whatever else takes minutes; and everything that doesn't, which must not wait behind it.
LONG, SHORT = "long", "short"

# Set when the process is told to stop. Long jobs look at it, and leave what they are at to another worker.
stopping = threading.Event()
