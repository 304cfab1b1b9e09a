"""Whatever cannot be run is refused in one line, before anything is written."""

import json
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

import train_sb3
from training.config import RunConfig
from training.run_directory import RunDirectory, settings_of
from training.sb3.algorithms import resolve_hyperparameters

SCRIPT = Path(train_sb3.__file__)

ENVIRONMENTS = '''
"""Environments with one fault each."""

import gymnasium as gym
import numpy as np

BOX = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)


class Fine(gym.Env):
    observation_space, action_space = BOX, BOX

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}


class FarObservation(Fine):
    def step(self, action):
        return np.full(2, 5.0, np.float32), 0.0, False, False, {}


class OldReset(Fine):
    def reset(self, *, seed=None, options=None):
        return self.observation_space.sample()


class StepFails(Fine):
    def step(self, action):
        raise KeyError("wheel")


class NamedParts(Fine):
    observation_space = gym.spaces.Dict({"position": BOX})


class EndlessActions(Fine):
    action_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)


class NamedActions(Fine):
    action_space = gym.spaces.Dict({"wheel": BOX})


class Failing(Fine):
    def __init__(self, error="RuntimeError"):
        raise getattr(__import__("builtins"), error)("the simulator\\ndoes not start")


for name, kind in list(globals().items()):
    if isinstance(kind, type) and issubclass(kind, gym.Env):
        gym.register(f"{name}-v0", kind, max_episode_steps=20)
gym.register("Endless-v0", Fine)
'''

MODULES = {
    "faulty_envs": ENVIRONMENTS,
    "wrong_syntax": "def broken(:\n",
    "fails_at_import": "raise RuntimeError('no licence\\nwas found')\n",
    "no_algorithms": "class Agent:\n    pass\n\n\ndef agent():\n    pass\n",
}

RL = "stable_baselines3.common"
ONE_OF = "must be one of a2c, ars, crossq, ddpg, dqn"
WHOLE = "a whole number from 1"
NUMBER = "a number above 0"
FRACTION = "a number from 0 up to 1"
PAIR = "must be name=value"
WITHIN = "seed must be from 0 to 4294967295"
PPO = ["--algo", "ppo"]
SHORT = ["--total-timesteps", "100"]  # so that a test does not last long that fails


def given(*overrides: str, algo: str = "td3") -> list[str]:
    """Arguments with hyperparameters."""
    return ["--algo", algo, "--hyperparams", *overrides]


def env(env_id: str, *env_kwargs: str, algo: str = "td3") -> list[str]:
    """Arguments with an environment."""
    kwargs = ["--env-kwargs", *env_kwargs] if env_kwargs else []
    return ["--algo", algo, "--env-id", env_id, *kwargs]


# By kind: what is typed, and what the message must contain.
REFUSED: dict[str, list[tuple[list[str], str]]] = {
    "unknown algorithm": [
        (["--algo", "nope"], ONE_OF),
        (["--algo", "SAC"], ONE_OF),
        (["--algo", ""], "algorithm"),
    ],
    "module that cannot be imported": [
        (["--algo", "no_such_module:Agent"], "No module named 'no_such_module'"),
        (["--algo", "wrong_syntax:Agent"], "cannot import algorithm 'wrong_syntax:Agent'"),
        (["--algo", "fails_at_import:Agent"], "no licence was found"),
        (["--algo", ":Agent"], "cannot import algorithm ':Agent'"),
        (env("no_such_module:Thing-v0"), "no_such_module"),
        (env("wrong_syntax:Thing-v0"), "wrong_syntax"),
        (env("fails_at_import:Thing-v0"), "no licence was found"),
    ],
    "class that is no algorithm": [
        (["--algo", "no_algorithms:Missing"], "has no attribute 'Missing'"),
        (["--algo", "no_algorithms:Agent"], "must be a subclass of SB3's"),
        (["--algo", "no_algorithms:agent"], "must be a subclass of SB3's"),
        (["--algo", f"{RL}.base_class:BaseAlgorithm"], "BaseAlgorithm cannot be built"),
    ],
    "unknown environment": [
        (env("nope-v0"), "must be a registered Gymnasium id"),
        (env("roket-v0"), "did you mean rocket-v0?"),
        (env("rocket-v7"), "did you mean rocket-v0?"),
        (env("rocket v0"), "rocket v0"),
        (env(""), "environment ''"),
        (env("faulty_envs:Missing-v0"), "unknown environment 'faulty_envs:Missing-v0'"),
        (env("faulty_envs:"), "faulty_envs:"),
        (env("Pendulum-v0"), "Pendulum-v0"),
    ],
    "wrong action or observation space": [
        (env("CartPole-v1"), "algorithms that do: a2c, ars, dqn, maskable_ppo, ppo, qrdqn"),
        (env("rocket-v0", algo="dqn"), "algorithms that do: a2c, ars, crossq, ddpg, ppo"),
        (env("rocket-v0", algo="maskable_ppo"), "does not take the Box actions"),
        (env("faulty_envs:NamedActions-v0", algo="ppo"), "algorithms that do: none"),
        (
            [*env("Blackjack-v1", algo="ppo"), "--max-episode-steps", "20"],
            "observation space is not supported",
        ),
        (env("faulty_envs:EndlessActions-v0", algo="ppo"), "finite"),
    ],
    "algorithm for masks on an environment without": [
        (env("CartPole-v1", algo="maskable_ppo"), "needs action_masks(), which CartPole-v1 has"),
    ],
    "unknown hyperparameter": [
        (given("gama=0.9"), "unknown hyperparameters of td3: gama; it has"),
        (given("n_epochs=3"), "unknown hyperparameters of td3: n_epochs"),
        (given("seed=3"), "unknown hyperparameters of td3: seed"),
        (given("policy_kwargs.nope=1"), "nope"),
    ],
    "hyperparameter of the wrong type": [
        (given("batch_size=2.5"), WHOLE),
        (given("buffer_size=1e6"), WHOLE),
        (given("gamma=high"), FRACTION),
        (given("gamma=True"), FRACTION),
        (given("gamma=None"), FRACTION),
        (given("learning_rate=[1,2]"), NUMBER),
        (given("use_sde=1", algo="sac"), "True or False"),
        (given("policy_kwargs=3"), "given by its parts"),
        (given("replay_buffer_class=Her"), "must be a class of stable_baselines3.common.buffers"),
        (given("ent_coef=auto_x", algo="sac"), "auto_NUMBER"),
        (given("policy_kwargs.net_arch=64"), "net_arch"),
        (given("policy_kwargs.net_arch=[64.5]"), "net_arch"),
    ],
    "hyperparameter out of range": [
        (given("gamma=2"), FRACTION),
        (given("tau=-1"), "a number above 0 up to 1"),
        (given("tau=0"), "a number above 0 up to 1"),
        (given("batch_size=0"), WHOLE),
        (given("buffer_size=-5"), WHOLE),
        (given("buffer_size=1000000000000000"), "cannot be built"),
        (given("n_steps=100000000000000", algo="ppo"), "cannot be built"),
        (given("learning_rate=0"), NUMBER),
        (given("learning_rate=nan"), NUMBER),
        (given("learning_rate=inf"), NUMBER),
        (given("learning_rate=1e999"), NUMBER),
        (given("learning_rate=-1e999"), NUMBER),
        (given("exploration_noise=-0.1"), "a number from 0"),
        (given("learning_starts=-1"), "a whole number from 0"),
        (given("gradient_steps=-2"), "a whole number from -1"),
        (given("target_entropy=1e999", algo="sac"), "a number"),
        (given("ent_coef=auto_0", algo="sac"), "auto_NUMBER"),
        (given("ent_coef=auto_1e999", algo="sac"), "auto_NUMBER"),
        (given("n_steps=1", algo="ppo"), "cannot be built"),
        (given("policy_kwargs.net_arch=[-5]"), "net_arch"),
        (given("policy_kwargs.net_arch=[0]"), "net_arch"),
        (given("policy_kwargs.n_critics=0"), "cannot be built"),
    ],
    "frequency of updates that is none": [
        (given("train_freq=0"), "[COUNT, 'step' or 'episode']"),
        (given("train_freq=often"), "[COUNT, 'step' or 'episode']"),
        (given("train_freq=[1,'day']"), "[COUNT, 'step' or 'episode']"),
        (given("train_freq=[0,'step']"), "[COUNT, 'step' or 'episode']"),
    ],
    "bad schedule": [
        (given("learning_rate=linear:"), "linear:NUMBER"),
        (given("learning_rate=linear:-1"), "linear:NUMBER"),
        (given("learning_rate=linear:x"), "linear:NUMBER"),
        (given("learning_rate=linear:1e999"), "linear:NUMBER"),
        (given("learning_rate=cosine:1e-3"), "linear:NUMBER"),
        (given("clip_range=linear:0", algo="ppo"), "linear:NUMBER"),
        (given("gamma=linear:0.9"), FRACTION),
    ],
    "bad activation function": [
        (given("policy_kwargs.activation_fn=Relu"), "a class of torch.nn.modules.activation"),
        (given("policy_kwargs.activation_fn=functional"), "a class of torch.nn.modules.activation"),
        (given("policy_kwargs.activation_fn=3"), "activation_fn"),
        (given("policy_kwargs.activation_fn=Linear"), "a class of torch.nn.modules.activation"),
        (given("policy_kwargs.activation_fn=Module"), "activation_fn"),
    ],
    "malformed name=value": [
        (given("gamma"), PAIR),
        (given("gamma="), PAIR),
        (given("=0.9"), PAIR),
        (given("policy_kwargs..net_arch=[8]"), PAIR),
        (given("1gamma=0.9"), PAIR),
        (given("gamma={[]:1}"), "gamma"),
        (env("rocket-v0", "dt"), PAIR),
    ],
    "hyperparameter given twice": [
        (given("gamma=0.9", "gamma=0.8"), "gamma is given twice"),
        (given("policy_kwargs.net_arch=[8]", "policy_kwargs={}"), "policy_kwargs is given twice"),
        (given("gamma=0.9", "gamma.x=1"), "gamma.x is given twice"),
        (given("gamma=0.9", "gamma.x.y=1"), "gamma.x.y is given twice"),
    ],
    "unknown preset": [
        (["--preset", "nope"], "must be one of released, sb3_default"),
        ([*PPO, "--preset", "released"], "must be one of sb3_default"),
    ],
    "seed out of range": [
        (["--seed", "-1"], WITHIN),
        (["--seed", "4294967296"], WITHIN),
    ],
    "number below 1": [
        (["--total-timesteps", "0"], "total_timesteps must be 1 or more"),
        (["--total-timesteps", "-1"], "total_timesteps must be 1 or more"),
        (["--eval-freq", "0"], "eval_freq must be 1 or more"),
        (["--n-eval-episodes", "-3"], "n_eval_episodes must be 1 or more"),
        (["--n-envs", "0"], "n_envs must be 1 or more"),
        (["--checkpoint-freq", "0"], "checkpoint_freq must be 1 or more"),
    ],
    "bad label": [
        (["--label", "A b"], "label must be lower-case"),
        (["--label", "../elsewhere"], "label must be lower-case"),
        (["--label=-x"], "label must be lower-case"),
        (["--label", "x\n"], "label must be lower-case"),
        (["--label", "x" * 300], "label"),
    ],
    "device that is not there": [
        (["--device", "nope"], "cpu always can"),
        (["--device", "cuda:99"], "cpu always can"),
        (["--device", ""], "cpu always can"),
        (["--device", "meta"], "cpu always can"),
    ],
    "root that cannot be written to": [
        (["--root", "a_file"], "cannot write to"),
        (["--root", "a_file/below"], "cannot write to"),
        (["--root", "run_is_a_file"], "cannot write to"),
        (["--root", "lock_is_a_folder"], "cannot write to"),
    ],
    "environment that refuses its arguments": [
        (env("rocket-v0", "nope=1"), "nope"),
        (env("rocket-v0", "dt=-1"), "dt"),
        (env("rocket-v0", "dt=short"), "dt"),
        (env("rocket-v0", "max_episode_steps=0"), "max_episode_steps"),
        (env("rocket-v0", "id=Pendulum-v1"), "id"),
        (env("rocket-v0", "render_mode=nope"), "render_mode"),
    ],
    "environment that cannot be made": [
        (env("faulty_envs:Failing-v0"), "the simulator does not start"),
        (env("faulty_envs:Failing-v0", "error=AssertionError"), "the simulator does not start"),
        (env("faulty_envs:Failing-v0", "error=ImportError"), "the simulator does not start"),
        (env("faulty_envs:Failing-v0", "error=OSError"), "the simulator does not start"),
    ],
    "environment that SB3's checker refuses": [
        (env("faulty_envs:FarObservation-v0"), "SB3's checker refuses"),
        (env("faulty_envs:OldReset-v0"), "SB3's checker refuses"),
        (env("faulty_envs:StepFails-v0"), "wheel"),
    ],
    "environment that is spoken of, and more": [
        ([*env("CartPole-v0", algo="ppo"), "--preset", "nope"], "must be one of sb3_default"),
        ([*env("faulty_envs:Endless-v0"), "--preset", "nope"], "must be one of released"),
    ],
    "vector environment that does not exist": [
        (["--vec-env", "nope"], "vec_env must be dummy or subproc or native"),
        ([*env("Pendulum-v1"), "--vec-env", "native"], "Pendulum-v1 has no native vector"),
        ([*env("CartPole-v1", algo="ppo"), "--vec-env", "native"], "use vec_env dummy"),
    ],
    "observations that cannot be normalised": [
        ([*env("FrozenLake-v1", algo="ppo"), "--normalize"], "cannot be normalised"),
        ([*env("faulty_envs:NamedParts-v0"), "--normalize"], "cannot be normalised"),
    ],
    "other settings than an existing run has": [
        (["--root", "before"], "total_timesteps is 77 there and 100 here"),
        (["--root", "before", "--total-timesteps", "77", "--n-envs", "2"], "n_envs is 1 there"),
        ([*given("gamma=0.5"), "--root", "before", "--total-timesteps", "77"], "gamma is 0.99"),
    ],
    "resuming what is no run": [
        (["--resume", "nowhere"], "nowhere is not a run directory"),
        (["--resume", "."], ". is not a run directory"),
        (["--resume", "a_file"], "a_file is not a run directory"),
        (["--resume", "moved"], "must be named td3/rocket-v0_0"),
        (["--resume", "before/td3/Pendulum-v1_0"], "is not a run directory"),
        (["--resume", "before/td3/empty"], "is not a run directory"),
        (["--resume", "before/td3/later"], "is not a run directory"),
    ],
}
CASES = [
    pytest.param(arguments, words, id=f"{kind}: {' '.join(arguments)[:60]}")
    for kind, cases in REFUSED.items()
    for arguments, words in cases
]

# These end in the frame that tyro draws.
MISSPELT = [
    ["--sead", "1"],
    ["--total-timesteps", "many"],
    ["--seed", "1.5"],
    ["--normalize", "perhaps"],
    ["--algo"],
    ["td3"],
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with modules of the user's own, and with files in the way."""
    for name, content in MODULES.items():
        (tmp_path / f"{name}.py").write_text(content)
    (tmp_path / "a_file").touch()
    (tmp_path / "run_is_a_file/td3").mkdir(parents=True)
    (tmp_path / "run_is_a_file/td3/rocket-v0_0").touch()
    (tmp_path / "lock_is_a_folder/td3/rocket-v0_0/.lock").mkdir(parents=True)

    config = RunConfig(algo="td3", env_id="rocket-v0", total_timesteps=77)
    settings = json.dumps(settings_of(config, resolve_hyperparameters(config)))
    configurations = {
        "before/td3/rocket-v0_0": settings,
        "moved": settings,
        "before/td3/Pendulum-v1_0": "no JSON",
        "before/td3/empty": "{}",
        "before/td3/later": settings.replace('"seed"', '"sead"'),
    }
    for name, content in configurations.items():
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text(content)
        (tmp_path / name / ".lock").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def like_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bring warnings to stderr, where a process of its own would show them."""

    def show(message: Any, category: Any, filename: str, lineno: int, *rest: Any) -> None:
        print(warnings.formatwarning(message, category, filename, lineno), file=sys.stderr)

    monkeypatch.setattr(warnings, "showwarning", show)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


def content(folder: Path) -> dict[str, bytes | None]:
    """Every file and folder below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def exit_status(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> int:
    monkeypatch.setattr(sys, "argv", ["train_sb3.py", *SHORT, *arguments])
    with monkeypatch.context() as patch:
        patch.setattr(logging.root, "handlers", [])  # so that the log goes to stderr
        with pytest.raises(SystemExit) as stop:
            train_sb3.main()
    return int(stop.value.code or 0)


def assert_one_line(error: str, words: str) -> None:
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert words in error


def test_there_are_forty_inputs_of_fifteen_kinds() -> None:
    assert len(CASES) >= 40
    assert len(REFUSED) >= 15


@pytest.mark.usefixtures("like_a_process")
@pytest.mark.parametrize(("arguments", "words"), CASES)
def test_what_cannot_be_run_is_refused_in_one_line_before_anything_is_written(
    arguments: list[str],
    words: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = content(folder)
    assert exit_status(monkeypatch, arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert_one_line(output.err, words)
    assert content(folder) == before


@pytest.mark.parametrize("arguments", MISSPELT, ids=" ".join)
def test_a_misspelt_option_is_refused_with_what_could_have_been_meant(
    arguments: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = content(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert exit_status(monkeypatch, arguments) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert any(argument in error for argument in arguments)
    assert content(folder) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (env("roket-v0"), "did you mean rocket-v0?"),
        (given("gamma=2"), FRACTION),
        ([*env("faulty_envs:Endless-v0"), "--preset", "nope"], "must be one of released"),
        (env("faulty_envs:StepFails-v0"), "wheel"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_so_it_is_by_a_process_of_its_own(arguments: list[str], words: str, folder: Path) -> None:
    before = content(folder)
    finished = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == 2
    assert finished.stdout == ""
    assert_one_line(finished.stderr, words)
    assert content(folder) == before


def test_a_run_that_another_process_is_writing_is_left_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--root", "before", "--total-timesteps", "77"]
    before = content(folder)
    with RunDirectory(folder / "before/td3/rocket-v0_0").lock():
        assert exit_status(monkeypatch, arguments) == 2
    assert_one_line(capsys.readouterr().err, "another process is writing")
    assert content(folder) == before
