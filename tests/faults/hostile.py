"""Run directories as a stranger might hand them over: complete, sealed, and full of traps."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.helpers.made_up_runs import made_up_run
from training.checkpoint import digest
from training.config import RunConfig
from training.environments import make_env
from training.run_directory import RunDirectory
from training.sb3.algorithms import build_model, resolve_hyperparameters
from training.sb3.model_zip import model_bytes

CANARY = "executed"  # the file, in the working folder, that a trap that is sprung makes
SPRUNG = f"open({CANARY!r}, 'a').write('x')"
KWARGS = {"g": 9.0}  # a Pendulum whose optimum nobody computes


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return exec, (SPRUNG,)


def spring_traps(folder: Path) -> None:
    """Modules that run code when they are imported: a plain one, and one without __init__.py."""
    (folder / "evil.py").write_text(f"{SPRUNG}\n")
    (folder / "spacename").mkdir()
    (folder / "spacename/evil.py").write_text(f"{SPRUNG}\n")


def hostile_run(root: Path, label: str) -> Path:
    """A complete run of SB3's TD3, its policy untrained, with a trap of that name in it."""
    change, files = TRAPS[label]
    values: dict[str, Any] = {"algo": "td3", "env_id": "Pendulum-v1", "env_kwargs": KWARGS}
    path = made_up_run(root, label, 0, [-9.0, -8.0], **values)
    config = RunConfig(label=label, total_timesteps=100, **values)
    env = make_env(config)
    settings = resolve_hyperparameters(config)
    model = model_bytes(build_model(config, {**settings, "buffer_size": 10}, env))
    run = RunDirectory(path)
    recorded = run.settings() or {}
    recorded["config"] |= {k: v for k, v in change.items() if k != "hyperparameters"}
    recorded["hyperparameters"] = settings | change.get("hyperparameters", {})
    run.write_json("config.json", recorded)
    run.write_bytes("model.zip", model)
    for name, make in files.items():
        run.write_bytes(name, make(model))
    moved = root / RunConfig.from_json(recorded["config"]).directory
    seal(path)
    return path.rename(moved)


def seal(path: Path) -> None:
    """Give a run the digests that its files have now."""
    run = RunDirectory(path)
    status = json.loads((path / "status.json").read_text())
    names = [file.name for file in path.iterdir() if file.name in FILES]
    digests = {name: digest((path / name).read_bytes()) for name in names}
    run.write_json("status.json", {**status, "digests": digests})


def with_data(model: bytes) -> bytes:
    """A model.zip whose attributes are pickled traps."""
    text = {":type:": "<class 'dict'>", ":serialized:": _base64(pickle.dumps(Trap()))}
    data = dict.fromkeys(("policy_class", "policy_kwargs", "observation_space"), text)
    return _replaced(model, {"data": json.dumps(data).encode()})


def with_weights(model: bytes) -> bytes:
    """A model.zip whose weights are a pickled trap."""
    weights = io.BytesIO()
    torch.save({"trap": Trap()}, weights)
    return _replaced(model, {"policy.pth": weights.getvalue(), "actor.pth": pickle.dumps(Trap())})


def with_objects(_: bytes) -> bytes:
    """An .npz file of arrays of pickled traps."""
    names = ("timesteps", "results", "final_results", "mean", "variance", "epsilon", "clip")
    file = io.BytesIO()
    trap = np.array([Trap()], dtype=object)
    np.savez(file, **dict.fromkeys(names, trap))  # type: ignore[arg-type]
    return file.getvalue()


def _replaced(model: bytes, entries: dict[str, bytes]) -> bytes:
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(model)) as source, zipfile.ZipFile(result, "w") as target:
        contents = {name: source.read(name) for name in source.namelist()} | entries
        for name, content in contents.items():
            target.writestr(name, content)
    return result.getvalue()


def _base64(content: bytes) -> str:
    import base64

    return base64.b64encode(content).decode()


FILES = ("config.json", "evaluations.npz", "model.zip", "policy.safetensors", "normalization.npz",
         "best_model.zip")  # fmt: skip
Traps = dict[str, tuple[dict[str, Any], dict[str, Callable[[bytes], bytes]]]]
TRAPS: Traps = {
    "attributes": ({}, {"model.zip": with_data}),
    "weights": ({}, {"model.zip": with_weights}),
    "env_module": ({"env_id": "evil:Env-v0"}, {}),
    "env_below_folder": ({"env_id": "spacename.evil:Space-v0"}, {}),
    "env_two_modules": ({"env_id": "envs:evil:Two-v0"}, {}),
    "algo_module": ({"algo": "evil:Algo"}, {}),
    "algo_two_modules": ({"algo": "evil:envs:Algo"}, {}),
    "reference_class": ({"algo": "td3_reference:evil:TD3"}, {}),
    "reference_module": ({"algo": "td3_reference:evil"}, {}),
    "activation": ({"hyperparameters": {"policy_kwargs": {"activation_fn": "evil.f"}}}, {}),
    "evaluations": ({}, {"evaluations.npz": with_objects}),
    "normalization": ({"normalize": True}, {"normalization.npz": with_objects}),
    "reference_weights": (
        {"algo": "td3_reference"},
        {"policy.safetensors": lambda _: pickle.dumps(Trap())},
    ),
}
