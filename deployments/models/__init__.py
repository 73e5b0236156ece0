"""What is deployed, and how it was built."""

from deployments.models.builds import Build, BuildLogChunk
from deployments.models.deployments import Deployment

__all__ = ["Build", "BuildLogChunk", "Deployment"]
