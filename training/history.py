"""Which software made a run, where several processes made it one after another."""

import time
from pathlib import Path
from typing import Any

from training.config import ConfigError
from training.provenance import UNKNOWN, differences, software_of
from training.schemas import parsed

PARTS = "parts.json"  # in a checkpoint
ALLOW_MIXED = "--allow-mixed"
Json = dict[str, Any]


class History:
    """The parts of a run: those of processes that were stopped, then the one of this process.

    :param description: of this process, from :func:`training.provenance.describe_software`
    :param allow_mixed: whether other software may have made the parts before
    """

    def __init__(self, description: Json, allow_mixed: bool = False) -> None:
        self._description = description
        self._allow_mixed = allow_mixed
        self._began = time.time()
        self._before: list[Json] = []

    def follow(self, checkpoint: dict[str, bytes] | None) -> None:
        """Go on from a checkpoint, or begin anew without one.

        :raises ConfigError: if other software made it, naming what differs
        """
        self._before = []
        if checkpoint is None:
            return
        # What made a checkpoint without parts, from before they were kept, nobody knows.
        nothing: Json = {"parts": [{"software": {}, "from_step": 0, "seconds": None}]}
        kept = parsed(checkpoint[PARTS], Path(PARTS)) if PARTS in checkpoint else nothing
        self._before = kept["parts"] or nothing["parts"]
        made_with = self._before[-1]["software"]
        found = differences(made_with, software_of(self._description))
        if found and not self._allow_mixed:
            what = "; ".join(found) if made_with else f"which one is {UNKNOWN}"
            raise ConfigError(
                f"it was begun with other software ({what}): go on with the same, or with"
                f" {ALLOW_MIXED}, which provenance.json will tell; without its folder checkpoint"
                " it begins anew"
            )

    def parts(self, first_step: int, step: int) -> list[Json]:
        """For each process its software, steps (from, to) and seconds.

        :param first_step: where this process took the run up
        :param step: where it is
        """
        now = {
            "software": software_of(self._description),
            "from_step": first_step,
            "to_step": step,
            "seconds": time.time() - self._began,
        }
        before = [*self._before]
        if before:  # which may have come further than its last checkpoint
            before[-1] = {**before[-1], "to_step": first_step}
        return [*before, now]

    def provenance(self, first_step: int, step: int) -> Json:
        """Content of provenance.json of the run that ends at a step, its speed over all parts."""
        parts = self.parts(first_step, step)
        timed = [part for part in parts if part["seconds"] is not None]
        seconds = sum(part["seconds"] for part in timed)
        return {
            **self._description,
            "began": self._began,
            "seconds": seconds,
            "continued_from_step": first_step,
            "steps": step,
            "steps_per_second": sum(p["to_step"] - p["from_step"] for p in timed) / seconds,
            "parts": parts,
        }
