"""What happens at each step, seen with a learner that only counts."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from training.config import DivergedError, RunConfig
from training.endings import RunStopped
from training.open_run import OpenRun, open_run
from training.run_directory import RunDirectory
from training.supervisor import Supervisor

CONFIG = RunConfig(
    algo="td3",
    env_id="rocket-v0",
    max_episode_steps=2,
    total_timesteps=9,
    eval_freq=4,
    n_eval_episodes=1,
)


class Still:
    """Never moves."""

    def predict(self, observation: Any, *_: Any, **options: Any) -> tuple[Any, None]:
        return np.zeros((len(observation), 1), np.float32), None


class Counter:
    """A learner without learning."""

    config = CONFIG
    env: Any = None
    policy = Still()

    def __init__(self, evaluates_between_steps: bool = True, keeps_best: bool = False) -> None:
        self.evaluates_between_steps, self.keeps_best = evaluates_between_steps, keeps_best
        self.hyperparameters: dict[str, Any] = {}
        self.step = 0
        self.weight = torch.zeros(1)
        self.loss = torch.zeros(1)
        self.saved: list[int] = []

    def reason_not_resumable(self) -> str | None:
        return None

    def learn(self, run: OpenRun, supervisor: Supervisor, saved: dict[str, bytes] | None) -> None:
        supervisor.evaluate_if_due()
        while self.step < CONFIG.total_timesteps:
            self.step += 1
            supervisor.after_step(None)
            supervisor.between_steps()
        supervisor.finish()

    def weights(self) -> list[tuple[str, torch.Tensor]]:
        return [("w", self.weight)]

    def losses(self) -> dict[str, float]:
        return {"the loss": self.loss.item()}

    def save_state(self) -> dict[str, bytes]:
        self.saved.append(self.step)
        return {"state.json": b"{}"}

    def policy_files(self) -> dict[str, bytes]:
        return {"model.zip": str(self.step).encode()}

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def few_late_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.evaluation.N_FINAL_EPISODES", 1)


def train(learner: Counter, root: Path, at_step: Callable[[int], None], **options: Any) -> Path:
    """Train until the end, ``at_step`` being told each step."""
    with open_run(CONFIG, {}, root, lambda step, *_: at_step(step)) as run:
        learner.learn(run, Supervisor(learner, run, **options), None)
    return run.path


def test_it_evaluates_and_saves_when_due_and_keeps_the_best(tmp_path: Path) -> None:
    learner, steps = Counter(keeps_best=True), list[int]()
    path = train(learner, tmp_path, steps.append, checkpoint_freq=3)
    assert steps == [*range(1, 10)]
    assert learner.saved == [3, 6, 9]
    with np.load(path / "evaluations.npz") as found:
        assert found["timesteps"].tolist() == [0, 4, 8, 9]
    assert (path / "best_model.zip").read_bytes() == b"0"  # none was better than the first


@pytest.mark.parametrize(
    ("resumable", "message", "saved"),
    [(True, "asked to stop; saved at step 5", [5]), (False, "asked to stop", [])],
)
def test_it_stops_when_asked(
    resumable: bool, message: str, saved: list[int], tmp_path: Path
) -> None:
    learner = Counter()
    with pytest.raises(RunStopped, match=f"^{message}$"):
        train(
            learner,
            tmp_path,
            lambda step: None,
            should_stop=lambda: learner.step >= 5,
            resumable=resumable,
        )
    assert learner.step == 5
    assert learner.saved == saved
    assert RunDirectory(tmp_path / CONFIG.directory).status()["state"] == "interrupted"


@pytest.mark.parametrize(("between", "saved"), [(True, [4]), (False, [])])
def test_an_evaluation_that_is_broken_off_is_saved_where_it_falls_between_steps(
    between: bool, saved: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.supervisor.EVALUATION_PATIENCE", 0.0)
    learner = Counter(evaluates_between_steps=between)
    with pytest.raises(RunStopped, match="in the evaluation at step 4"):
        train(learner, tmp_path, lambda step: None, should_stop=lambda: learner.step >= 4)
    assert learner.saved == saved


@pytest.mark.parametrize(
    ("what", "message"),
    [("loss", "the loss is NaN or infinite at step 2"), ("weight", "weight w is NaN .* at step 4")],
)
def test_it_refuses_what_is_not_finite(what: str, message: str, tmp_path: Path) -> None:
    learner = Counter()

    def break_at(step: int) -> None:
        if step == 2:
            setattr(learner, what, torch.tensor([np.nan]))

    with pytest.raises(DivergedError, match=message):
        train(learner, tmp_path, break_at)
    assert RunDirectory(tmp_path / CONFIG.directory).status()["state"] == "diverged"


@pytest.mark.parametrize("full_takes", [0.0, 1.2, 9.0])
def test_saving_takes_at_most_its_share_of_the_time(
    full_takes: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10,000 s of training by a clock of its own, while the replay memory fills.

    :param full_takes: seconds to save it when it is full
    """
    clock, n_steps, step_takes = SimpleNamespace(now=0.0), 5_000, 2.0
    monkeypatch.setattr("training.supervisor.time", SimpleNamespace(monotonic=lambda: clock.now))
    learner, began, took = Counter(), list[float](), list[float]()

    def save_state() -> dict[str, bytes]:
        began.append(clock.now)
        took.append(full_takes * learner.step / n_steps)
        clock.now += took[-1]
        return {}

    monkeypatch.setattr(learner, "save_state", save_state)
    with open_run(CONFIG, {}, tmp_path) as run:
        monkeypatch.setattr(run, "try_to_save", lambda step, save: bool(save()) or True)
        supervisor = Supervisor(learner, run)
        for learner.step in range(1, n_steps + 1):
            clock.now += step_takes
            supervisor.between_steps()
    assert sum(took) <= 0.021 * clock.now  # a little above: the memory has grown since
    ended = np.add(began, took)
    waited = np.subtract(began, [0.0, *ended[:-1]])
    wanted = np.maximum(60.0, np.divide([0.0, *took[:-1]], 0.02))
    assert (waited > wanted).all()
    assert (waited <= wanted + step_takes + 1e-6).all()


def test_a_user_who_counts_steps_gets_a_checkpoint_whatever_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("training.supervisor.time", SimpleNamespace(monotonic=lambda: clock.now))
    learner = Counter()
    save_state = learner.save_state

    def slow_save_state() -> dict[str, bytes]:
        clock.now += 1000.0
        return save_state()

    monkeypatch.setattr(learner, "save_state", slow_save_state)
    train(learner, tmp_path, lambda step: None, checkpoint_freq=2)
    assert learner.saved == [2, 4, 6, 8]
