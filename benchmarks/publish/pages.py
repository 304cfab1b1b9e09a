"""results/ -> what README.md and docs/results.md show of it: nothing else gives them a number."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.analysis.sources.published import is_published
from benchmarks.publish.film import FILM, NUMBERS, START, make_film
from benchmarks.publish.folder import SUMMARY
from benchmarks.table import markdown
from envs.rocket_metrics import STEADY_STEPS
from training.config import ConfigError

Json = dict[str, Any]
# What matters most comes first: in the README, on the page.
ORDER = ("standard", "action_scale_again", "action_scale", "rocket_early", "halfcheetah_early",
         "article", "wild_differences", "algorithms", "quick")  # fmt: skip
# Experiments on seeds that had suggested the question, and those that ask it of new ones: where
# both are published, the README tells the second alone.
ASKED_AGAIN = {"action_scale": "action_scale_again"}
FILMED = ("article", "standard", "rocket_early", "quick")  # whose policy is shown, the first
IMAGES = "images"
MOST_FINDINGS = 3
BEGIN, END = "<!-- begin: made by make results -->", "<!-- end -->"
PAGE = "docs/results.md"
DURATIONS = "durations.json"  # measured by hand: nothing else here is
NOTHING = "No experiment is published yet: this place is filled by `make results`.\n"


def write_pages(results: Path) -> list[str]:
    """Make the animation, the README's part and docs/results.md, all of them beside results/.

    :param results: the folder of published experiments
    :return: what was written
    :raises ConfigError: if the README has no place for it
    """
    root = results.resolve().parent
    films = [name for name in FILMED if is_published(results / name)]
    film = next(filter(None, (make_film(results / name, results / IMAGES) for name in films)), None)
    written = [str(results / IMAGES / FILM)] if film else []
    for name, text in pages(results).items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
        written.append(str(root / name))
    return written


def pages(results: Path) -> dict[str, str]:
    """The pages' texts by name, as results/ has them."""
    readme = results.resolve().parent / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    if BEGIN not in text or END not in text:
        raise ConfigError(f"{readme} must have the lines {BEGIN} and {END}")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    experiments = published(results)
    part = "\n".join(readme_part(results, experiments))
    return {
        "README.md": f"{head}{BEGIN}\n{part}{END}{tail}",
        PAGE: "\n".join(results_page(experiments)),
    }


def published(results: Path) -> list[Json]:
    """The content of each published.json, in ORDER."""
    names = sorted(path.name for path in results.glob("*") if is_published(path))
    names.sort(key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    return [json.loads((results / name / SUMMARY).read_text(encoding="utf-8")) for name in names]


def readme_part(results: Path, experiments: list[Json]) -> Iterator[str]:
    """Animation, forest plot with its verdict, findings, each with the command that shows it."""
    names = {each["name"] for each in experiments}
    told = [each for each in experiments
            if each["findings"] and ASKED_AGAIN.get(each["name"]) not in names]  # fmt: skip
    told.sort(key=lambda each: each["settled"] == 0)  # stable: otherwise in ORDER
    if not experiments:
        yield NOTHING
    if (results / IMAGES / NUMBERS).exists():
        film = json.loads((results / IMAGES / NUMBERS).read_text(encoding="utf-8"))
        yield from film_part(film)
    if told:
        name, finding = told[0]["name"], told[0]["findings"][0]
        alt = f"Forest plot of the experiment {name}. {finding}"
        yield f"![{alt}](results/{name}/verdicts_forest.png)\n"
        yield "## What was found\n"
    elif experiments:
        yield (
            "No published experiment has the seeds that a verdict needs yet:"
            " [Results](docs/results.md) shows what there is.\n"
        )
    for name, text in findings(told):
        yield f"- `{name}`: {text}\n"
        yield f"      .venv/bin/python -m benchmarks report results/{name}\n"
    if (results / DURATIONS).exists():
        yield durations(json.loads((results / DURATIONS).read_text(encoding="utf-8")))


def findings(told: list[Json]) -> list[tuple[str, str]]:
    """Name and finding: the first of each experiment, after its question, then further ones.

    :param told: experiments with findings
    """
    ranked = [
        (rank, each["name"], finding if rank else f"{sentence(each['description'])} {finding}")
        for each in told
        for rank, finding in enumerate(each["findings"])
    ]
    ranked.sort(key=lambda row: row[0])  # stable: the order of the experiments stays
    return [row[1:] for row in ranked[:MOST_FINDINGS]]


def sentence(text: str) -> str:
    """A description as a sentence."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(("?", ".")) else ".")


def durations(measured: Json) -> str:
    """What commands take, under a heading.

    :param measured: content of durations.json
    """
    rows = [[f"`{command}`", f"{minutes:.1f}"] for command, minutes in measured["minutes"].items()]
    return f"## How long it takes\n\n{measured['how']}\n\n{markdown(['command', 'minutes'], rows)}"


def film_part(film: Json) -> Iterator[str]:
    """The animation and what it shows."""
    names = list(film["policies"])
    alt = f"Animation of three rockets from x = 1 m, v = 0, one below the other: {names[0]};"
    achieved = [
        f"{name.partition(',')[0]} {values['return']:.1f} and"
        f" {values['steady-state error in m']:.4f} m"
        for name, values in film["policies"].items()
    ]
    yield f"![{alt} PD control; the optimum](results/{IMAGES}/{FILM})\n"
    yield (
        f"From x = {START[0]:g} m, v = {START[1]:g}: the reference TD3 after"
        f" {film['total_timesteps']:,} steps (`{film['experiment']}/{film['run']}`), PD control"
        f" and the optimum. Return, and mean distance over the last {STEADY_STEPS} steps:"
        f" {'; '.join(achieved)}. The optimum is that of the return, not of the distance.\n"
    )


def results_page(experiments: list[Json]) -> Iterator[str]:
    """The page docs/results.md."""
    yield "# Results\n"
    yield (
        "What the experiments of this project have found, each as it was declared before its runs."
        " `make results` makes this page from `results/`. A published experiment is read like runs"
        " of one's own: `report` makes its whole report, `compare` compares with it, and `verify`"
        " says whether runs made elsewhere are the same.\n"
    )
    if not experiments:
        yield NOTHING
    for each in experiments:
        yield from section(each)
    missing = [name for name in ORDER if name not in {each["name"] for each in experiments}]
    if missing:
        yield f"Not published, for want of runs: {', '.join(missing)}.\n"


def section(each: Json) -> Iterator[str]:
    """An experiment's part of the page."""
    name = each["name"]
    yield f"## {name}\n"
    yield f"{sentence(str(each['description']))}\n"
    if name in ASKED_AGAIN:
        yield (
            "Its seeds are among those that had suggested a difference, so that it cannot confirm"
            f" one: `{ASKED_AGAIN[name]}` asks again, of new seeds.\n"
        )
    yield from (f"- {verdict}" for verdict in each["verdicts"])
    if (each["findings"]) or each["has_forest"]:
        alt = f"Forest plot: {' '.join(each['findings']) or name}"
        yield f"\n![{alt}](../results/{name}/verdicts_forest.png)"
    yield f"\n    .venv/bin/python -m benchmarks report results/{name}"
    yield f"    .venv/bin/python -m benchmarks verify {name}\n"
    yield markdown(each["summary"]["header"], each["summary"]["rows"])
    commands = "; ".join(f"`{command}`" for command in each["commands"]) or "not known"
    for kind in each["made with"]:
        packages = ", ".join(f"{package} {number}" for package, number in kind["packages"].items())
        commit = (kind["git_commit"] or "not known")[:12]
        yield (
            f"{kind['num_runs']} runs, commit {commit}, {kind['cpu']}, Python {kind['python']},"
            f" {packages}; {each['processor hours']} hours of one processor core in all. Made by:"
            f" {commands}.\n"
        )
