"""What a sweep shows while it runs: bars on a terminal, plain lines elsewhere."""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from training.config import RunConfig

LINE_INTERVAL = 60.0  # s between two plain lines about one run


class Speed:
    """Environment steps per second since something was first seen.

    :param step: steps taken by then
    """

    def __init__(self, step: int) -> None:
        self._first_step, self._began = step, time.monotonic()

    def at(self, step: int) -> float:
        """Steps per second up to now; 0 at the start."""
        seconds = time.monotonic() - self._began
        return max(0, step - self._first_step) / seconds if seconds > 1.0 else 0.0


class Display:
    """One bar for the whole sweep and one for each active run.

    :param configs: all runs
    :param missing: those of them that are to be carried out
    """

    def __init__(self, configs: Sequence[RunConfig], missing: Sequence[RunConfig]) -> None:
        self._console = Console(highlight=False)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[details]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._n_runs = len(configs)
        self._completed = len(configs) - len(missing)
        self._steps = {config.directory: config.total_timesteps for config in configs}
        for config in missing:
            self._steps[config.directory] = 0
        self._total = sum(config.total_timesteps for config in configs)
        self._speed: Speed | None = None  # once the first run has begun
        self._all = self._bars.add_task("all runs", total=self._total, details="")
        self._tasks: dict[str, tuple[TaskID, Speed]] = {}
        self._last_line: dict[str, float] = {}
        self._is_waiting = False

    def __enter__(self) -> "Display":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def note(self, line: str) -> None:
        """Print a line above the bars."""
        self._console.print(line, markup=False, soft_wrap=True)

    def waiting_for_workers(self, is_waiting: bool) -> None:
        """Print, once, that no worker can take runs."""
        if is_waiting and not self._is_waiting and self._speed is not None:
            self.note("no worker can take runs at present; waiting for one")
        self._is_waiting = is_waiting

    def update(self, config: RunConfig, status: dict[str, Any]) -> None:
        """Show how far an active run has come.

        :param status: content of its status.json
        """
        name, step = config.directory, min(status["step"], config.total_timesteps)
        if name not in self._tasks:
            self._steps[name] = step
            self._speed = self._speed or Speed(self._done_steps())
            task = self._bars.add_task(name, total=config.total_timesteps, details="")
            self._tasks[name] = task, Speed(step)
            self._last_line[name] = time.monotonic()
        self._steps[name] = step
        task, speed = self._tasks[name]
        details = (
            f"{step:,}/{config.total_timesteps:,} steps, {speed.at(step):.0f} steps/s,"
            f" return {format_return(status)}"
        )
        self._bars.update(task, completed=step, details=details)
        self._bars.update(self._all, completed=self._done_steps(), details=self._overall())
        if not self._console.is_terminal:
            self._print_now_and_then(name, details)

    def _print_now_and_then(self, name: str, details: str) -> None:
        if time.monotonic() - self._last_line[name] > LINE_INTERVAL:
            self._last_line[name] = time.monotonic()
            self.note(f"  {name}: {details}; all runs: {self._overall()}")

    def complete(self, config: RunConfig, status: dict[str, Any]) -> None:
        """Show that a run is complete."""
        self._leave(config, f"{config.directory}: return {format_return(status)}")

    def fail(self, config: RunConfig, line: str) -> None:
        """Show that a run failed."""
        self._leave(config, f"FAILED {line}")

    def _leave(self, config: RunConfig, line: str) -> None:
        self._completed += 1
        self._steps[config.directory] = config.total_timesteps
        if config.directory in self._tasks:
            self._bars.remove_task(self._tasks.pop(config.directory)[0])
        self._bars.update(self._all, completed=self._done_steps(), details=self._overall())
        self.note(f"[{self._completed}/{self._n_runs}] {line}")

    def _done_steps(self) -> int:
        return sum(self._steps.values())

    def _overall(self) -> str:
        """Runs, steps per second of all workers together, and the time left."""
        speed = self._speed.at(self._done_steps()) if self._speed else 0.0
        text = f"{self._completed}/{self._n_runs} runs, {speed:.0f} steps/s"
        if speed > 0:
            text += f", {format_time((self._total - self._done_steps()) / speed)} left"
        return text


def format_return(status: dict[str, Any]) -> str:
    """The last mean evaluation return, or a dash before the first evaluation."""
    value = status.get("last_return")
    return "-" if value is None else f"{value:.1f}"


def format_time(seconds: float) -> str:
    """Hours and minutes, or minutes and seconds of less than an hour."""
    if seconds >= 3600:
        minutes = round(seconds / 60)
        return f"{minutes // 60:,} h {minutes % 60:02d} min"
    return str(timedelta(seconds=round(seconds)))[2:] + " min"
