"""What is deployed, how it was built, and what this server has at Fly."""

from deployments.models.builds import Build, BuildLogChunk
from deployments.models.deployments import Deployment
from deployments.models.fly_apps import Discrepancy, FlyApp
from deployments.models.labels import called

__all__ = ["Build", "BuildLogChunk", "Deployment", "Discrepancy", "FlyApp", "called"]
