"""What tests may turn at Fly while the sandbox runs."""

from dataclasses import dataclass


@dataclass
class Knobs:
    """How the stand-in for Fly behaves; a reset brings the defaults back.

    A lag hides what was just made: from as many reads of it, or for as many seconds, whichever lasts
    longer. `app_lag_status` is what is answered meanwhile, 404 or 401.
    """

    app_lag_reads: int = 0
    app_lag_seconds: float = 0.0
    app_lag_status: int = 404
    machine_lag_reads: int = 0
    machine_lag_seconds: float = 0.0
    volume_lag_reads: int = 0
    secrets_lag_seconds: float = 0.0
    rate_limits: bool = False
    duplicate_ip_status: int = 422
    hintless_volumes_fit: bool = True
    failing_launches: int = 0
    regions_in_pascal_case: bool = True
