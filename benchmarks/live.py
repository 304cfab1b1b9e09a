"""What a sweep shows while it runs: bars on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from sb3_training.config import RunConfig

LINE_INTERVAL = 60.0  # s between two plain lines about one run


class Display:
    """One bar for the whole sweep and one for each active run.

    :param total: number of runs
    """

    def __init__(self, total: int) -> None:
        self._console = Console(highlight=False)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[details]}"),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._total = total
        self._completed = 0
        self._all = self._bars.add_task("all runs", total=total, details="")
        self._tasks: dict[str, TaskID] = {}
        self._first_seen: dict[str, tuple[float, int]] = {}  # time and step
        self._last_line: dict[str, float] = {}

    def __enter__(self) -> "Display":
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def update(self, config: RunConfig, status: dict[str, Any]) -> None:
        """Show how far an active run has come.

        :param status: content of its status.json
        """
        name = config.directory
        now, step = time.monotonic(), status["step"]
        if name not in self._tasks:
            total = config.total_timesteps
            self._tasks[name] = self._bars.add_task(name, total=total, details="")
            self._first_seen[name] = (now, step)
            self._last_line[name] = now
        began, first_step = self._first_seen[name]
        speed = (step - first_step) / (now - began) if now > began else 0.0
        details = f"{speed:.0f} steps/s, return {format_return(status)}"
        self._bars.update(self._tasks[name], completed=step, details=details)
        if not self._console.is_terminal and now - self._last_line[name] > LINE_INTERVAL:
            self._last_line[name] = now
            self._console.print(f"  {name}: step {step}/{config.total_timesteps}, {details}")

    def complete(self, config: RunConfig, status: dict[str, Any]) -> None:
        """Show that a run is complete."""
        self._leave(config, f"{config.directory}: return {format_return(status)}")

    def fail(self, config: RunConfig, line: str) -> None:
        """Show that a run failed."""
        self._leave(config, f"FAILED {line}")

    def _leave(self, config: RunConfig, line: str) -> None:
        self._completed += 1
        self._bars.update(self._all, completed=self._completed)
        if config.directory in self._tasks:
            self._bars.remove_task(self._tasks[config.directory])
        self._console.print(f"[{self._completed}/{self._total}] {line}", markup=False)


def format_return(status: dict[str, Any]) -> str:
    """The last mean evaluation return, or a dash before the first evaluation."""
    value = status.get("last_return")
    return "-" if value is None else f"{value:.1f}"
