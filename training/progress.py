"""A progress bar for a single run."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from training.config import RunConfig
from training.run_directory import Progress as OnProgress


@contextmanager
def progress_bar(config: RunConfig) -> Iterator[OnProgress]:
    """Show step, speed, time left and last return; yields what is to be told of each step."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]} steps/s"),
        TimeRemainingColumn(),
        TextColumn("return {task.fields[last_return]}, training {task.fields[training]}"),
    )
    description = f"{config.label} on {config.env_id}, seed {config.seed}"
    task = bar.add_task(
        description, total=config.total_timesteps, speed="-", last_return="-", training="-"
    )

    def on_progress(step: int, last_return: float | None, training: float | None) -> None:
        bar.start()  # at the first step only, so that a refused run shows no bar; later no effect
        speed = bar.tasks[task].speed
        bar.update(
            task,
            completed=min(step, config.total_timesteps),
            speed="-" if speed is None else f"{speed:.0f}",
            last_return="-" if last_return is None else f"{last_return:.1f}",
            training="-" if training is None else f"{training:.1f}",
        )

    try:
        yield on_progress
    finally:
        if bar.live.is_started:
            bar.stop()
