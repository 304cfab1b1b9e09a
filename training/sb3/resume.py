"""Save all that an SB3 run depends on between two steps, and go on from there.

SB3's own ``save`` and ``load`` do not suffice: ``load`` rewinds every generator to the seed, and
environment, replay buffer and episode statistics are not saved at all. The moment to save is a
rollout's start: within a rollout, SB3 keeps part of the state in local variables.
"""

import io
import json
import random
import sys
from collections import deque
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import torch
from safetensors.torch import load, save
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor, VecNormalize

from envs.saved_state import NOT_SAVEABLE, can_be_saved, decode, encode, get_state, set_state
from training.environments import MONITOR_STATE
from training.sb3.subproc import ReportingSubprocVecEnv
from training.sb3.vec_env import NativeVecEnv, layers_of

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

OFF_POLICY = ("td3", "ddpg", "sac", "tqc", "crossq", "dqn", "qrdqn")
# Their rollout buffer is empty when a run is saved.
ON_POLICY = ("a2c", "ppo", "trpo", "maskable_ppo", "recurrent_ppo")
COUNTERS = (
    "num_timesteps", "_n_updates", "_episode_num", "_current_progress_remaining",
    "_n_calls", "exploration_rate",  # the last two: DQN and QR-DQN alone
)  # fmt: skip
LAST_SEEN = ("_last_obs", "_last_episode_starts", "_last_original_obs")
STATISTICS = ("ep_info_buffer", "ep_success_buffer")
REPLAY_BUFFERS = (ReplayBuffer, NStepReplayBuffer)
BUFFER_ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
# What each layer around the environments carries from step to step.
VEC_MONITOR = ("episode_returns", "episode_lengths", "episode_count", "t_start")
VEC_NORMALIZE = ("returns", "old_reward", "old_obs")
RUNNING_MEANS = ("obs_rms", "ret_rms")


def reason_not_resumable(algo: str, model: Any) -> str | None:
    """Why a run cannot be continued where it stopped; None if it can."""
    if algo not in OFF_POLICY + ON_POLICY:
        return f"{algo} keeps part of its state where it cannot be saved"
    if model.device.type != "cpu":
        return "it trains on another device than the CPU"
    if model.use_sde:
        return "state-dependent exploration draws its noise before a run can be saved"
    if algo in OFF_POLICY and (
        type(model.replay_buffer) not in REPLAY_BUFFERS or model.optimize_memory_usage
    ):
        return "its replay buffer is of another kind than SB3's usual one"
    return None if _environments_can_be_saved(layers_of(model.env)[-1]) else NOT_SAVEABLE


def _environments_can_be_saved(base: VecEnv) -> bool:
    if isinstance(base, NativeVecEnv):
        return hasattr(base.env, "get_state")
    if isinstance(base, ReportingSubprocVecEnv):
        return all(base.env_method("state_can_be_saved"))
    assert isinstance(base, DummyVecEnv)
    return all(can_be_saved(_inside_monitor(env)) for env in base.envs)


def _env(model: "BaseAlgorithm") -> VecEnv:
    assert model.env is not None
    return model.env


def save_state(model: "BaseAlgorithm") -> dict[str, bytes]:
    """All that the rest of the run depends on, as files without pickle."""
    dicts, variables = model._get_torch_save_params()
    tree = {
        "dicts": {name: attrgetter(name)(model).state_dict() for name in dicts},
        "variables": {name: attrgetter(name)(model).detach() for name in variables},
        "memories": _memories(model),
        "torch_generator": torch.get_rng_state(),
    }
    tensors: dict[str, torch.Tensor] = {}
    state = {
        "tree": _without_tensors(tree, "", tensors),
        "attributes": {
            name: encode(getattr(model, name))
            for name in (*COUNTERS, *LAST_SEEN)
            if hasattr(model, name)
        },
        "statistics": {name: encode(tuple(getattr(model, name))) for name in STATISTICS},
        "noise": [encode(noise) for noise in _noises(model)],
        "environment": [_layer_state(layer) for layer in layers_of(_env(model))],
        "action_space": model.action_space.np_random.bit_generator.state,
        "numpy": encode(np.random.get_state()),  # noqa: NPY002
        "python": random.getstate(),
    }
    return {
        "model.safetensors": save(tensors),
        "state.json": json.dumps(state).encode(),
        **_replay_memory(model),
    }


def prepare(model: "BaseAlgorithm", files: dict[str, bytes]) -> None:
    """Make ``learn(..., reset_num_timesteps=False)`` go on counting, without a reset."""
    attributes = json.loads(files["state.json"])["attributes"]
    for name, value in attributes.items():
        setattr(model, name, decode(value))


def restore_state(model: "BaseAlgorithm", files: dict[str, bytes]) -> None:
    """Go on from what :func:`save_state` returned; call it once ``learn`` has set itself up."""
    state = json.loads(files["state.json"])
    tree = _with_tensors(state["tree"], load(files["model.safetensors"]))
    for name, values in tree["dicts"].items():
        attrgetter(name)(model).load_state_dict(values)
    for name, value in tree["variables"].items():
        attrgetter(name)(model).data.copy_(value)

    for memory, value in zip(_memories(model), tree["memories"], strict=True):
        memory.copy_(value)
    _restore_replay_memory(model, files)
    prepare(model, files)
    model._num_timesteps_at_start = 0  # as in a run that was never stopped
    for name, values in state["statistics"].items():
        setattr(model, name, deque(decode(values), maxlen=getattr(model, name).maxlen))
    for noise, value in zip(_noises(model), state["noise"], strict=True):
        noise[...] = decode(value)
    for layer, values in zip(layers_of(_env(model)), state["environment"], strict=True):
        _set_layer_state(layer, values)
    model.action_space.np_random.bit_generator.state = state["action_space"]
    # Last, since any of the above might have drawn from them.
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    np.random.set_state(decode(state["numpy"]))  # noqa: NPY002
    torch.set_rng_state(tree["torch_generator"])


def _replay_memory(model: Any) -> dict[str, bytes]:
    """The replay buffer as a file; no file without a replay buffer."""
    buffer = getattr(model, "replay_buffer", None)
    if buffer is None:
        return {}
    filled = buffer.buffer_size if buffer.full else buffer.pos
    arrays = {name: getattr(buffer, name)[:filled] for name in BUFFER_ARRAYS}
    file = io.BytesIO()
    np.savez(file, **arrays, pos=buffer.pos, full=buffer.full)
    return {"buffer.npz": file.getvalue()}


def _restore_replay_memory(model: Any, files: dict[str, bytes]) -> None:
    if "buffer.npz" not in files:
        return
    buffer = model.replay_buffer
    with np.load(io.BytesIO(files["buffer.npz"])) as arrays:
        for name in BUFFER_ARRAYS:
            values = arrays[name]  # read from the file at each access
            getattr(buffer, name)[: len(values)] = values
        buffer.pos, buffer.full = int(arrays["pos"]), bool(arrays["full"])


def _memories(model: Any) -> list[torch.Tensor]:
    """The LSTM states of a recurrent policy; empty for any other policy."""
    states = getattr(model, "_last_lstm_states", None) or ()
    return [tensor for pair in states for tensor in pair]


def _noises(model: Any) -> list[np.ndarray]:
    """The previous values of correlated action noise, one array for each environment."""
    noise = model.action_noise
    each = getattr(noise, "noises", [noise])  # one for each environment, or one for all
    return [one.noise_prev for one in each if hasattr(one, "noise_prev")]


def _inside_monitor(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    return env.env if isinstance(env, Monitor) else env


def _layer_state(layer: VecEnv) -> dict[str, Any]:
    if isinstance(layer, VecNormalize):
        means = {name: getattr(layer, name).__dict__ for name in RUNNING_MEANS}
        encoded = {name: {k: encode(v) for k, v in mean.items()} for name, mean in means.items()}
        return {"attributes": _encoded(layer, VEC_NORMALIZE), "means": encoded}
    if isinstance(layer, VecMonitor):
        return {"attributes": _encoded(layer, VEC_MONITOR)}
    if isinstance(layer, NativeVecEnv):
        return {"environment": layer.env.get_state()}  # type: ignore[attr-defined]
    if isinstance(layer, ReportingSubprocVecEnv):
        return {"environments": layer.env_method("saved_state")}
    assert isinstance(layer, DummyVecEnv)
    return {
        "environments": [get_state(_inside_monitor(env)) for env in layer.envs],
        "monitors": [
            _encoded(env, MONITOR_STATE) if isinstance(env, Monitor) else {} for env in layer.envs
        ],
    }


def _set_layer_state(layer: VecEnv, state: dict[str, Any]) -> None:
    _set_encoded(layer, state.get("attributes", {}))
    for name, mean in state.get("means", {}).items():
        _set_encoded(getattr(layer, name), mean)
    if isinstance(layer, NativeVecEnv):
        layer.env.set_state(state["environment"])  # type: ignore[attr-defined]
    if isinstance(layer, ReportingSubprocVecEnv):
        for i, values in enumerate(state["environments"]):
            layer.env_method("restore_state", values, indices=i)
    if isinstance(layer, DummyVecEnv):
        for env, values, monitor in zip(
            layer.envs, state["environments"], state["monitors"], strict=True
        ):
            set_state(_inside_monitor(env), values)
            _set_encoded(env, monitor)


def _encoded(owner: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: encode(getattr(owner, name)) for name in names}


def _set_encoded(owner: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(owner, name, decode(value))


def _without_tensors(tree: Any, path: str, tensors: dict[str, torch.Tensor]) -> Any:
    """Convert a tree to JSON values; its tensors go to ``tensors``, by their paths."""
    if isinstance(tree, torch.Tensor):
        tensors[path] = tree.detach().clone().contiguous()
        return {"tensor": path}
    if isinstance(tree, dict):
        # A list of pairs, since JSON would turn an optimiser's numeric keys into text.
        pairs = [[key, _without_tensors(tree[key], f"{path}/{key}", tensors)] for key in tree]
        return {"pairs": pairs}
    if isinstance(tree, list | tuple):
        items = [_without_tensors(item, f"{path}/{i}", tensors) for i, item in enumerate(tree)]
        return {"tuple": items} if isinstance(tree, tuple) else items
    return tree


def _with_tensors(tree: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """The inverse of :func:`_without_tensors`."""
    if isinstance(tree, dict) and "tensor" in tree:
        return tensors[tree["tensor"]]
    if isinstance(tree, dict) and "tuple" in tree:
        return tuple(_with_tensors(item, tensors) for item in tree["tuple"])
    if isinstance(tree, dict):
        # Interned, as the names in torch's own code are: equal models then give equal files.
        return {
            sys.intern(key) if isinstance(key, str) else key: _with_tensors(value, tensors)
            for key, value in tree["pairs"]
        }
    if isinstance(tree, list):
        return [_with_tensors(item, tensors) for item in tree]
    return tree
