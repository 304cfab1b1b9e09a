"""What an experiment declared and when: experiment.json, beside its runs."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.analysis.comparisons import compare_all
from benchmarks.analysis.load import load_results
from benchmarks.experiments import DECLARED_FIRST, EXPERIMENT_FILE, MIN_VERDICT_SEEDS, Experiment
from benchmarks.report.wording import outcome
from training.config import ConfigError, env_name, env_stem
from training.run_directory import RunDirectory

DECLARATIONS = "declarations"  # in experiment.json: each with its date, the oldest first
STEPS = "steps on "  # start of a change's name; an environment follows
GROWTH, REJUDGEMENT, OTHER = "growth", "re-judgement", "other"
Json = dict[str, Any]


class Change(NamedTuple):
    """Something that two declarations say differently.

    :param kind: GROWTH adds to what was there, REJUDGEMENT judges the same runs by another
        rule, OTHER would need other runs
    """

    name: str
    old: Any
    new: Any
    kind: str

    def __str__(self) -> str:
        if self.name == "seeds":
            return f"seeds {len(self.old)} -> {len(self.new)}"
        if self.kind == GROWTH and self.old is None:
            return f"new: {self.name}"
        return f"{self.name} {self.old} -> {self.new}"


def changes(there: Mapping[str, Any], ours: Mapping[str, Any]) -> list[Change]:
    """In what two contents of experiment.json differ."""
    old, new = _by_name(there), _by_name(ours)
    found = []
    for name in {**old, **new}:
        was, now = old.get(name), new.get(name)
        if was != now:
            found.append(Change(name, was, now, _kind(name, was, now, name in old)))
    return found


def _by_name(content: Mapping[str, Any]) -> Json:
    values = {"settings": content.get("settings", {})}
    values |= {f"implementation {k}": v for k, v in content.get("implementations", {}).items()}
    values |= {f"{STEPS}{k}": v for k, v in content.get("total_timesteps", {}).items()}
    for name, value in content["declaration"].items():
        if name in ("margins", "failure_regrets"):
            values |= {f"{name[:-1]} of {env_name(k)}": v for k, v in value.items()}
        else:
            values[name] = value
    return values


def _kind(name: str, old: Any, new: Any, was_there: bool) -> str:
    if name == "seeds":
        return GROWTH if new[: len(old)] == old else OTHER
    if not was_there:
        return GROWTH
    if name.startswith(STEPS) and new is not None and new > old:
        return GROWTH
    return OTHER if name.startswith(("settings", "implementation", STEPS)) else REJUDGEMENT


def refuse_mismatch(experiment: Experiment, root: Path, extend: bool = False) -> None:
    """Refuse a folder in which another experiment was declared.

    Seeds may be added, as long as no looks were declared, and looks may be declared as long as
    there are too few seeds for a verdict.

    :param extend: whether it may also grow in other ways, and be judged by other rules
    :raises ConfigError: saying what differs
    """
    there = RunDirectory(root).read_json(EXPERIMENT_FILE)
    if there is None:
        return
    declared = there["declaration"]
    may_change = set() if experiment.looks or declared.get("looks") else {"seeds"}
    if len(declared["seeds"]) < MIN_VERDICT_SEEDS and not declared.get("looks"):
        may_change = {"seeds", "looks", "level"}
    found = changes(there, experiment.to_json())
    refused = [each for each in found if each.kind == OTHER
               or not (extend or each.name in may_change)]  # fmt: skip
    if not refused:
        return
    advice = "choose another name or --root"
    if all(each.kind != OTHER for each in found):
        advice = f"--extend lets it grow, or {advice}"
    told = "; ".join(f"{each.name} is {each.old} there and {each.new} here" for each in refused)
    raise ConfigError(f"{root} was declared for other runs ({told}): {advice}")


def declare(experiment: Experiment, root: Path) -> None:
    """Write experiment.json: what is declared now, and all earlier declarations, with dates.

    It also says whether the declaration was made before any of the runs.
    """
    there, ours = RunDirectory(root).read_json(EXPERIMENT_FILE), experiment.to_json()
    begun = sorted(str(file.parent.relative_to(root)) for file in root.glob("*/*/config.json"))
    first = not begun
    if there is not None and there["sha256"] == ours["sha256"]:
        first = there.get(DECLARED_FIRST, True)
    history: list[Json] = there.get(DECLARATIONS, [_entry(there)]) if there else []
    changed = changes(there, ours) if there else []
    if changed or not there:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        entry = _entry(ours, now, [(each.kind, str(each)) for each in changed])
        history.append({**entry, "runs_before": begun, "verdicts_before": _verdicts(root)})
    RunDirectory(root).write_json(
        EXPERIMENT_FILE, {**ours, DECLARED_FIRST: first, DECLARATIONS: history}
    )


def _entry(content: Json, date: str | None = None, changed: Any = ()) -> Json:
    """A declaration as the list keeps it.

    :param date: None if it was made before dates were recorded
    """
    kept = {name: content[name] for name in ("sha256", "declaration")}
    return {"date": date, "changes": changed, "runs_before": [], "verdicts_before": [], **kept}


def _verdicts(root: Path) -> list[Json]:
    """Verdicts on the present runs, by the declaration now in experiment.json."""
    try:
        found = compare_all(load_results(root))
    except (FileNotFoundError, ConfigError):  # no complete run, or runs that a report will refuse
        return []
    names = ("env_id", "first", "second", "metric", "num_runs")
    return [
        {**{name: getattr(each, name) for name in names}, "outcome": outcome(each)}
        for each in found
        if each.verdict is not None and each.is_conclusive
    ]


def history_text(experiment: Mapping[str, Any] | None, num_runs: int) -> str:
    """One line on what was declared when, for a report; empty where all was declared at once.

    :param experiment: content of experiment.json, None without any
    :param num_runs: complete runs
    """
    history = (experiment or {}).get(DECLARATIONS, ())
    if len(history) < 2:
        return ""
    parts = [f"at first ({history[0]['date'] or 'date not kept'})"]
    for entry in history[1:]:
        runs, verdicts = len(entry["runs_before"]), len(entry["verdicts_before"])
        shorter = _count_shorter_runs(entry)
        kinds = {kind for kind, _ in entry["changes"]}
        before = (
            f"{runs} run{'s' * (runs != 1)} and {verdicts or 'no'} verdict{'s' * (verdicts != 1)}"
        )
        what = "; ".join(text for _, text in entry["changes"] if not text.startswith("new: margin")
                         and not text.startswith("new: failure"))  # fmt: skip
        again = ", a re-judgement" if REJUDGEMENT in kinds else ""
        fewer = f" ({shorter} of fewer steps)" if shorter else ""
        after = max(0, num_runs - runs + shorter)
        parts.append(
            f"{entry['date']} ({what}{again}): {before} before it{fewer},"
            f" {after} run{'s' * (after != 1)} after"
        )
    return f"Declared in {len(parts)} steps: {'; '.join(parts)}. experiment.json has them in full."


def _count_shorter_runs(entry: Json) -> int:
    """How many runs from before a declaration have fewer steps than it declares."""
    changed = [text.removeprefix(STEPS).split()[0] for _, text in entry["changes"]
               if text.startswith(STEPS)]  # fmt: skip
    stems = {env_stem(env_id) for env_id in changed}
    folders = [name.rpartition("/")[2].rpartition("_")[0] for name in entry["runs_before"]]
    return sum(folder in stems for folder in folders)
