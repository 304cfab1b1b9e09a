"""How a sweep is carried out, whatever its experiment."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """What the command line may ask for, apart from the experiment."""

    workers: int | None = None
    """worker processes on this machine; default: one for each processor"""
    scheduler: str | None = None
    """tcp://host:port of an existing Dask cluster to use instead"""
    check: bool = True
    """let SB3's checker look at each environment before the first run"""
    allow_mixed: bool = False
    """go on with runs that were begun with other software; provenance.json records it"""
    step_timeout: float = 600.0
    """seconds without a return from the environment after which a run has failed; 0: no limit"""
    keep_checkpoints: bool = False
    """keep the last checkpoint of complete runs, from which --extend with more --total-timesteps
    resumes; without it such runs start over, with the same result"""


DEFAULT_OPTIONS = SweepOptions()
