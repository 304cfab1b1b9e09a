"""SB3's SubprocVecEnv, which also reports which environment failed, and with which error."""

import signal
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from stable_baselines3.common.vec_env import SubprocVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from envs.rollout import Env
from envs.saved_state import can_be_saved, get_state, set_state
from envs.step_check import CLOCK, StepGuard
from training.config import BrokenEnvironmentError, RunConfig, one_line
from training.environments import make_env, silence_remarks

LOST = (EOFError, ConnectionError)  # raised here if a subprocess has ended
JOIN_TIMEOUT = 5.0  # s to wait for a process that is ending


@contextmanager
def error_written_to(note: Path) -> Iterator[None]:
    """End this process at an error, after writing it for the parent: a line, and its traceback.

    :param note: the file to write
    """
    try:
        yield
    except BaseException as error:
        line = one_line(f"{type(error).__name__}: {error}")
        trace = "".join(traceback.format_exception(error))
        note.write_text(f"{line}\n{trace}", encoding="utf-8")
        raise SystemExit(1) from None


class ErrorReportingEnv(StepGuard):
    """Copies like a StepGuard, without checks, and writes down the error that ends its process.

    :param note: the file to write
    """

    def __init__(self, env: Env, note: Path) -> None:
        super().__init__(env, checks=False)
        self._note = note

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        with error_written_to(self._note):
            return super().reset(**options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step."""
        with error_written_to(self._note):
            return super().step(action)

    def state_can_be_saved(self) -> bool:
        """Whether :meth:`saved_state` can save the environment."""
        return can_be_saved(self.env)

    def saved_state(self) -> dict[str, Any]:
        """The environment's state: see :func:`envs.saved_state.get_state`."""
        return get_state(self.env)

    def restore_state(self, state: dict[str, Any]) -> None:
        """Go on from a state that :meth:`saved_state` returned."""
        set_state(self.env, state)


class ReportingSubprocVecEnv(SubprocVecEnv):
    """Environments in processes of their own; if a process ends, the error names its environment.

    :raises BrokenEnvironmentError: if an environment ends its process; quotes its error
    """

    def __init__(self, config: RunConfig) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="td3-rocket-benchmark-")
        self._notes = [Path(self._folder.name) / str(i) for i in range(config.n_envs)]
        try:
            super().__init__([_Maker(config, note) for note in self._notes])
        except LOST as error:
            try:
                self._raise_naming_env(error)
            finally:
                self.close()

    def reset(self) -> Any:
        """Start episodes in all environments."""
        with self._lost_named("reset"):
            return super().reset()

    def step_async(self, actions: Any) -> None:
        """Begin a step."""
        with self._lost_named("step"):
            super().step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """End a step."""
        with self._lost_named("step"):
            return super().step_wait()

    def close(self) -> None:
        """End all processes that are still running."""
        self.waiting = self.waiting and all(each.is_alive() for each in self.processes)
        with suppress(*LOST):
            super().close()
        for process in self.processes:
            process.join(JOIN_TIMEOUT)
            process.kill()
        self._folder.cleanup()

    @contextmanager
    def _lost_named(self, call: str) -> Iterator[None]:
        """Raise an error that names the environment, if one ends its process during a call.

        :param call: name of the call, which the message about a hang gives
        """
        CLOCK.enter(call)
        try:
            yield
        except LOST as error:
            self._raise_naming_env(error)
        finally:
            CLOCK.leave()

    def _raise_naming_env(self, error: BaseException) -> NoReturn:
        for i, note in enumerate(self._notes):
            if note.exists():
                said, _, trace = note.read_text(encoding="utf-8").partition("\n")
                named = BrokenEnvironmentError(f"environment {i} ended its process: {said}")
                named.add_note(trace)
                raise named from error
        for i, process in enumerate(self.processes):
            process.join(JOIN_TIMEOUT / len(self.processes))
            if process.exitcode is not None:
                what = f"with exit status {process.exitcode}"
                raise BrokenEnvironmentError(f"environment {i} ended its process {what}") from error
        raise BrokenEnvironmentError("an environment's process no longer answers") from error


class _Maker:
    """Makes an environment in a process of its own, where Ctrl-C is ignored: the parent stops it.

    The parent also checks what the environment returns.
    """

    def __init__(self, config: RunConfig, note: Path) -> None:
        self._config, self._note = config, note

    def __call__(self) -> Env:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all processes
        silence_remarks()
        with error_written_to(self._note):
            return ErrorReportingEnv(make_env(self._config), self._note)
