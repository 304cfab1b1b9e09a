"""results/ -> what README.md and docs/results.md show of it: all their numbers come from there."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from benchmarks.analysis.sources.published import is_published, summary_of
from benchmarks.publish.film import FILM, NUMBERS, make_film
from benchmarks.report.wording import as_sentence
from benchmarks.table import markdown
from envs.rocket_metrics import STEADY_STEPS
from training.config import ConfigError

Json = dict[str, Any]
# What matters most comes first: in the README, on the page.
ORDER = ("standard", "action_scale_again", "action_scale", "rocket_early", "halfcheetah_early",
         "article", "wild_differences", "algorithms", "quick")  # fmt: skip
# An experiment on the seeds that suggested its question -> the one that asks it on new seeds. If
# both are published, the README shows the second only.
ASKED_AGAIN = {"action_scale": "action_scale_again"}
FILMED = ("article", "standard", "rocket_early", "quick")  # the first that has a policy
IMAGES = "images"
MOST_FINDINGS = 3
BEGIN, END = "<!-- begin: made by make results -->", "<!-- end -->"
PAGE = "docs/results.md"
DURATIONS = "durations.json"  # measured by hand, unlike everything else


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
    """The text of each page, by file name, made from results/.

    :raises ConfigError: if the README has no place for it
    """
    head, tail = around_part(results)
    experiments = published(results)
    return {
        "README.md": f"{head}{BEGIN}\n{readme_part(results, experiments)}{END}{tail}",
        PAGE: rendered(
            "results.md.j2",
            experiments=experiments,
            missing=[name for name in ORDER if name not in {each["name"] for each in experiments}],
        ),
    }


def around_part(results: Path) -> tuple[str, str]:
    """The README's text before and after the part that is made from results/.

    :raises ConfigError: if the README has no place for it
    """
    readme = results.resolve().parent / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    if BEGIN not in text or END not in text:
        raise ConfigError(f"{readme} must have the lines {BEGIN} and {END}")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return head, tail


def published(results: Path) -> list[Json]:
    """The content of each published.json, in ORDER.

    :raises ConfigError: if one is missing or damaged
    """
    names = sorted(path.name for path in results.glob("*") if is_published(path))
    names.sort(key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    return [summary_of(results / name) for name in names]


def readme_part(results: Path, experiments: list[Json]) -> str:
    """Animation, forest plot with its verdict, findings, each with the command that shows it."""
    names = {each["name"] for each in experiments}
    told = [each for each in experiments
            if each["findings"] and ASKED_AGAIN.get(each["name"]) not in names]  # fmt: skip
    told.sort(key=lambda each: each["settled"] == 0)  # stable: otherwise in ORDER
    return rendered(
        "readme.md.j2",
        experiments=experiments,
        told=told,
        findings=findings(told, questions(experiments)),
        film=content(results / IMAGES / NUMBERS),
        film_file=f"results/{IMAGES}/{FILM}",
        durations=content(results / DURATIONS),
    )


def content(file: Path) -> Json:
    """Content of a JSON file; empty without one."""
    found: Json = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found


def rendered(template: str, **values: Any) -> str:
    """A rendered template, which ends with one line break."""
    return TEMPLATES.get_template(template).render(values).rstrip() + "\n"


def questions(experiments: list[Json]) -> dict[str, str]:
    """The question of each experiment, by name.

    One that asks again has that of the experiment which suggested it, if that is published.
    """
    asked = {each["name"]: as_sentence(each["description"]) for each in experiments}
    again = {
        name: f"{asked[first]} Asked again, on new seeds."
        for first, name in ASKED_AGAIN.items()
        if {first, name} <= asked.keys()
    }
    return asked | again


def findings(told: list[Json], asked: Mapping[str, str]) -> list[tuple[str, str]]:
    """Name and finding: the first of each experiment, after its question, then further ones.

    :param told: experiments with findings
    :param asked: from :func:`questions`
    """
    ranked = [
        (rank, each["name"], finding if rank else f"{asked[each['name']]} {finding}")
        for each in told
        for rank, finding in enumerate(each["findings"])
    ]
    ranked.sort(key=lambda row: row[0])  # stable: the order of the experiments stays
    return [row[1:] for row in ranked[:MOST_FINDINGS]]


def duration_table(measured: Json) -> str:
    """A table of the minutes that commands take.

    :param measured: content of durations.json
    """
    rows = [[f"`{command}`", f"{minutes:.1f}"] for command, minutes in measured["minutes"].items()]
    return markdown(["command", "minutes"], rows)


def summary_table(summary: Json) -> str:
    """The table of an experiment's scores.

    :param summary: of published.json
    """
    return markdown(summary["header"], summary["rows"])


TEMPLATES = Environment(
    loader=PackageLoader("benchmarks.publish"), undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip
TEMPLATES.filters.update(
    sentence=as_sentence, duration_table=duration_table, summary_table=summary_table
)
TEMPLATES.globals.update(steady_steps=STEADY_STEPS, asked_again=ASKED_AGAIN)
