"""What happens during SB3's ``learn()``: evaluation and progress."""

from stable_baselines3.common.callbacks import BaseCallback

from sb3_training.evaluation import Evaluator
from sb3_training.run_directory import RunDirectory


class ProtocolCallback(BaseCallback):
    """Evaluates by the protocol and reports progress.

    SB3 calls it after an environment step and before that step's update. The final evaluation
    waits until training has ended, so that it scores the very policy that is saved.
    """

    def __init__(self, evaluator: Evaluator, run: RunDirectory) -> None:
        super().__init__()
        self._evaluator = evaluator
        self._run = run

    def _on_training_start(self) -> None:
        self._evaluator.catch_up(self.model, step=0)

    def _on_step(self) -> bool:
        self._evaluator.catch_up(self.model, self.num_timesteps)
        self._run.report(self.num_timesteps)
        return True

    def _on_training_end(self) -> None:
        self._evaluator.catch_up(self.model, self.num_timesteps)
        self._evaluator.finish(self.model)
