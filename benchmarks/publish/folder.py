"""A complete sweep -> results/<experiment>/: what its report is made of, small enough for git."""

import io
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from PIL import Image

from benchmarks.analysis.comparisons import Comparison, compare_all
from benchmarks.analysis.load import Results, load_results
from benchmarks.analysis.sources.published import RUNS, SUMMARY, is_published
from benchmarks.choice import recorded_experiment
from benchmarks.experiments import EXPERIMENT_FILE
from benchmarks.report.page import VERDICTS, write_report
from benchmarks.report.terminal import scores
from benchmarks.report.wording import sentences, short
from training.config import ConfigError
from training.provenance import with_digest
from training.run_directory import CONFIG, EVALUATIONS, PROVENANCE, RunDirectory

STATUS = "status.json"
POLICY = "policy.safetensors"  # the reference's, a quarter of a megabyte
FAILED = ("failed", "diverged")
COPIED = ("*.csv", "*.md", "*.svg", VERDICTS)
LEFT_OUT = ("showcase", "trajectories", "fidelity")  # from policies, or not of an experiment
PNG_WIDTH = 800
PNG_COLOURS = 128
EPOCH = (1980, 1, 1, 0, 0, 0)  # of all files in the archive: the same runs give the same bytes


def publish(root: Path, folder: Path) -> str:
    """Write the results of a sweep to a folder, in place of what was there.

    :param root: holds the run directories and experiment.json
    :param folder: receives tables (CSV, Markdown), figures (SVG, small PNG), verdicts.json,
        experiment.json, runs.zip and published.json
    :return: what was written, in a line
    :raises ConfigError: if there is no such sweep, runs are missing or have changed, or the folder
        holds something else than a published experiment, such as the runs themselves
    """
    if folder.exists() and not is_published(folder):
        raise ConfigError(
            f"{folder} must be a new folder or a published experiment, as it would be replaced"
        )
    try:
        results = load_results(root)
    except FileNotFoundError as error:
        raise ConfigError(str(error)) from error
    comparisons = compare_all(results)
    refuse_incomplete(root)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent) as temporary:
        report, made = Path(temporary) / "report", Path(temporary) / "made"
        made.mkdir()
        write_report(root, report)
        for file in sorted(file for pattern in COPIED for file in report.glob(pattern)):
            if not file.name.startswith(LEFT_OUT):
                shutil.copy(file, made)
        for file in sorted(report.glob("*.png")):
            if not file.name.startswith(LEFT_OUT):
                shrink(file, made / file.name)
        shutil.copy(root / EXPERIMENT_FILE, made)
        pack(root, made / RUNS)
        text = json.dumps(summary(root, results, comparisons), indent=2, ensure_ascii=False)
        scores(results).data.to_csv(made / "scores.csv", index=False)
        (made / SUMMARY).write_text(text + "\n", encoding="utf-8")
        if folder.exists():
            folder.rename(Path(temporary) / "before")
        made.rename(folder)
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    return f"{len(results.finals)} runs of {root.name} are published in {folder} ({size:.1f} MB)"


def refuse_incomplete(root: Path) -> None:
    """Refuse a sweep that is not complete: a verdict on fewer seeds is not the declared one.

    A sweep until decided can be published after any look, once no run is under way. Its looks are
    declared, and a verdict that needs a further one is marked as provisional.

    :raises ConfigError: naming what is missing
    """
    experiment = recorded_experiment(root)
    if experiment is None:
        raise ConfigError(f"{root} must be the folder of a sweep: it holds no {EXPERIMENT_FILE}")
    first = experiment.seeds[: experiment.looks[0]] if experiment.looks else experiment.seeds
    runs = [run.directory for run in experiment.runs()
            if run.seed in first or (root / run.directory / CONFIG).exists()]  # fmt: skip
    missing = [run for run in runs if not has_ended(RunDirectory(root / run))]
    if missing:
        option = " --until-decided" if experiment.looks else ""
        raise ConfigError(
            f"{root.name} is not complete: {len(missing)} of {len(runs)} runs are missing or have"
            f" changed, such as {missing[0]}; run: python -m benchmarks sweep {root.name}{option}"
        )


def has_ended(run: RunDirectory) -> bool:
    """Whether a run is complete and as it was left, or has failed."""
    return run.is_done() or run.status()["state"] in FAILED


def pack(root: Path, archive: Path) -> None:
    """Write all run directories to one file: evaluations, settings, status, provenance.

    Of the reference's policies, only that of the lowest seed is kept, for each label and
    environment. The status keeps the digests of the packed files only, so that runs count as whole.
    """
    chosen = {str(file) for file in first_policies(root)}
    with ZipFile(archive, "w", ZIP_DEFLATED, compresslevel=9) as packed:
        for folder in sorted(file.parent for file in root.glob(f"*/*/{CONFIG}")):
            names = [name for name in (CONFIG, EVALUATIONS, POLICY) if (folder / name).exists()
                     and (name != POLICY or str(folder / name) in chosen)]  # fmt: skip
            contents = {name: (folder / name).read_bytes() for name in names}
            status = RunDirectory(folder).status()
            digests = status.get("digests", {})
            status["digests"] = {name: digests[name] for name in names if name in digests}
            contents[STATUS] = json.dumps(status).encode()
            contents[PROVENANCE] = json.dumps(portable(RunDirectory(folder).provenance())).encode()
            for name, content in contents.items():
                info = ZipInfo(str((folder / name).relative_to(root)), EPOCH)
                info.compress_type = ZIP_DEFLATED
                packed.writestr(info, content)


def first_policies(root: Path) -> Iterator[Path]:
    """The reference's policy of the lowest seed, for each label and environment."""
    by_env: dict[tuple[str, str], tuple[int, Path]] = {}
    for file in root.glob(f"*/*/{POLICY}"):
        config = (RunDirectory(file.parent).settings() or {})["config"]
        key = config["label"], config["env_id"]
        by_env[key] = min(by_env.get(key, (config["seed"], file)), (config["seed"], file))
    yield from (file for _, file in by_env.values())


def portable(made_with: dict[str, Any]) -> dict[str, Any]:
    """Content of provenance.json, its command without the paths of the machine."""
    words = made_with.get("command", [])
    if words and Path(words[0]).name == "__main__.py":
        words = ["python", "-m", Path(words[0]).parent.name, *words[1:]]
    words = [Path(word).name if word.startswith("/") else word for word in words]
    return with_digest({**made_with, "command": words})


def shrink(file: Path, target: Path) -> None:
    """Write a figure as a small PNG."""
    with Image.open(file) as image:
        small = image.convert("RGB")
        small.thumbnail((PNG_WIDTH, 10 * PNG_WIDTH))
        buffer = io.BytesIO()
        # Pillow's default, the median cut, would blend colours of thin lines: blue and green.
        palette = small.quantize(PNG_COLOURS, Image.Quantize.FASTOCTREE)
        palette.save(buffer, "png", optimize=True)
    target.write_bytes(buffer.getvalue())


def summary(root: Path, results: Results, comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Content of published.json: the verdicts in words, origin and digests, time taken."""
    experiment = results.experiment or {}
    kinds = [{name: value for name, value in kind.items() if name not in ("commands", "parts")}
             for kind in results.provenance]  # fmt: skip
    commands = {
        " ".join(portable(RunDirectory(file.parent).provenance())["command"])
        for file in root.glob(f"*/*/{PROVENANCE}")
    }
    runs = {
        str(file.parent.relative_to(root)): {
            "state": status["state"],
            "sha256": status.get("digests", {}),
            "seconds": RunDirectory(file.parent).provenance().get("seconds"),
        }
        for file in sorted(root.glob(f"*/*/{CONFIG}"))
        for status in [RunDirectory(file.parent).status()]
    }
    table = scores(results)
    starts = results.curves.drop_duplicates("env_id").set_index("env_id")
    best = (starts["mean_return"] + starts["mean_regret"]).dropna()
    seconds = [float(run["seconds"]) for run in runs.values() if run["seconds"]]
    return {
        "name": root.name,
        "description": experiment.get("description"),
        "commands": sorted(commands - {""}),
        **findings_of(comparisons),
        "verdicts": [
            " ".join(filter(None, pair)) for pair in sentences(results, comparisons, root.name)
        ],
        "has_forest": any(each.verdict for each in comparisons),
        "summary": {"header": table.header, "rows": table.rows},
        "best on the learning curves' starts": best.to_dict(),
        "runs done": len(results.finals),
        "processor hours": round(sum(seconds) / 3600.0, 1),
        "made with": kinds,
        "runs": runs,
    }


def findings_of(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """What the conclusive comparisons say, and how many of them settle their question.

    A provisional verdict is no finding yet.
    """
    judged = sorted(  # the settled ones first, otherwise in the order of the declaration
        ((each, each.verdict) for each in comparisons
         if each.verdict and each.is_conclusive and not each.is_provisional),
        key=lambda pair: not pair[1].is_settled,
    )  # fmt: skip
    number = f" One of {len(comparisons)} comparisons, with no correction for their number."
    return {
        "findings": [short(each) + number * (len(comparisons) > 1) for each, _ in judged],
        "settled": sum(verdict.is_settled for _, verdict in judged),
    }
