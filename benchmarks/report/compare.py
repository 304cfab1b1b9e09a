"""Verdicts on learning curves made anywhere: sources -> a folder with a page, tables, figures."""

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.analysis.contrast import (
    RULE,
    Match,
    Request,
    caveats_of,
    compare_pair,
    match_on,
    settings_line,
)
from benchmarks.analysis.sides import HELD_OUT, SCORES, environments
from benchmarks.analysis.sources.frame import Options
from benchmarks.analysis.sources.source import Source, read_source
from benchmarks.analysis.starts import parse_starts
from benchmarks.analysis.statistics import MIN_RUNS, MeanAndStd, over_runs
from benchmarks.latex import to_latex
from benchmarks.outputs import write_all
from benchmarks.plot_style import Picture
from benchmarks.report.compare_figures import draw_curves, draw_forest
from benchmarks.report.page import to_html
from benchmarks.report.wording import seeds_text
from benchmarks.table import NONE, Table, tabulate, to_csv, to_markdown
from training.config import ConfigError

STYLE = "body{font:16px sans-serif;max-width:70em;margin:2em} td,th{padding:0 .6em} img{width:100%}"
MOST_ROWS = 20  # of a table of learning curves
SENTENCES = {  # by the beginning of an outcome; the first that fits counts
    "equivalent": "{} equals {}{} within the margin",
    "different but negligible": "{} differs from {}{}, but by less than the margin",
    "different": "{} differs from {}{}",
    "undecided": "{} is shown neither to differ from {}{} nor to equal it",
    "none": f"{{}} and {{}} cannot be compared{{}}, which takes {MIN_RUNS} runs of each",
    "describes only": "{} and {}{} are described, not compared: the score picks its moment by luck",
}


def write_comparison(
    words: Sequence[str], request: Request, options: Options, output: Path, command: str = ""
) -> str:
    """Compare sources, and write a folder of its own for the comparison.

    :param words: ``LABEL=PATH`` or ``PATH``, of two sources or more
    :param output: the folder goes below it
    :param command: to name on the page
    :return: the page, as Markdown
    :raises ConfigError: if a source is missing, damaged or ambiguous, or an option makes no sense
    """
    if request.margin is not None and not 0.0 < request.margin < np.inf:
        raise ConfigError(f"margin must be a number above 0, got {request.margin}")
    declared = parse_starts(request.starts)
    sources = parse_sources(words, options)
    if {label for label in declared if label} - {source.name for source in sources}:
        raise ConfigError(f"starts must name sources: {', '.join(each.name for each in sources)}")
    matches = [match_on(sources, name, request) for name in environments(sources, request.env_ids)]
    folder = output / folder_name(sources, request)
    entries: list[dict[str, Any]] = []
    settings: dict[str, list[str]] = {}  # what -> on which environments
    caveats: dict[str, list[str]] = {}
    for match in matches:
        for i, j in combinations(range(len(match.sides)), 2):
            if match.sides[i].source is match.sides[j].source:
                continue
            more, said = compare_pair(match, i, j, request.margin, declared)
            entries += more
            settings.setdefault(settings_line([match.sides[i], match.sides[j]]), []).append(
                match.name
            )
            for caveat in dict.fromkeys([*said, *caveats_of(match)]):
                caveats.setdefault(caveat, []).append(match.name)
    made = [verdict_table(entries), score_table(matches)]
    made += [curve_table(match) for match in matches]
    pictures = [draw_forest(entries)] if any("95% (Welch)" in e for e in entries) else []
    pictures += [
        draw_curves(match.sides, match.grid, match.name or "environment not named")
        for match in matches
    ]
    text = page(sources, matches, entries, settings, caveats, made, pictures, command)
    write_files(folder, text, made, pictures, matches, entries)
    return f"{text}\nAll files: {folder}\n"


def parse_sources(words: Sequence[str], options: Options) -> list[Source]:
    """Read ``LABEL=PATH`` or ``PATH``, which is called by its last name.

    :raises ConfigError: if there are fewer than two, or two are called alike or are the same
    """
    if len(words) < 2:
        raise ConfigError(
            f"compare needs two sources or more, LABEL=PATH or PATH, got {len(words)}"
        )
    sources: list[Source] = []
    for word in words:
        label, _, path = (
            word.rpartition("=") if "/" not in word.partition("=")[0] else ("", "", word)
        )
        source = read_source(Path(path), label or Path(path).resolve().name, options)
        for other in sources:
            if other.path.resolve() == source.path.resolve():
                raise ConfigError(f"{path} must be compared with another source than itself")
            if other.name == source.name:
                raise ConfigError(f"two sources are called {source.name}: name them, LABEL=PATH")
        sources.append(source)
    return sources


def folder_name(sources: Sequence[Source], request: Request) -> str:
    """Of the folder of a comparison: what it compares, and what was asked for."""
    parts = ["_vs_".join(source.name for source in sources), *request.env_ids]
    parts += [f"at_{request.at}"] * (request.at is not None) + [request.score or ""]
    return "-".join(part.replace("/", "-").replace(":", "-") for part in parts if part)


def verdict_table(entries: list[dict[str, Any]]) -> Table:
    """All verdicts."""
    entries = [_in_words(entry) for entry in entries]
    made = sum(entry["start states"] == "as measured" for entry in entries)
    if made == len(entries):
        entries = [{k: v for k, v in entry.items() if k != "start states"} for entry in entries]
    caption = f"{RULE}. Comparisons made: {made}, with no correction for their number."
    return tabulate("verdicts", "Verdicts", caption, entries)


def _in_words(entry: dict[str, Any]) -> dict[str, Any]:
    """A row with its number of seeds as text."""
    seeds = entry.get("seeds needed")
    return entry if seeds is None else entry | {"seeds needed": seeds_text(seeds)}


def score_table(matches: Sequence[Match]) -> Table:
    """What each side scored."""
    entries = []
    for match in matches:
        ddof = 0 if match.score == "max_of_mean" else 1
        for side, values in zip(match.sides, match.values, strict=True):
            spread = (
                MeanAndStd(float(values.mean()), float(values.std()))
                if not ddof
                else over_runs(values)
            )
            entries.append({
                "environment": side.env_id or match.name or NONE,
                "side": side.name, "runs": len(values),
                match.score: spread,
                "at step": side.ends if match.score in HELD_OUT else int(match.at),
                "measured by": "training episodes" if side.source.kind.is_episodes else
                "held-out starts" if match.score in HELD_OUT else "evaluations",
            })  # fmt: skip
    told = "; ".join(f"{name}: {SCORES[name]}" for name in dict.fromkeys(m.score for m in matches))
    caption = f"Mean ± standard deviation over runs (ddof=1; max_of_mean: ddof=0). {told}."
    return tabulate("scores", "Scores", caption, entries)


def curve_table(match: Match) -> Table:
    """Mean and standard deviation over runs at some of the common steps."""
    curves = [side.on(match.grid) for side in match.sides]
    shown = np.unique(np.linspace(0, len(match.grid) - 1, MOST_ROWS).round().astype(int))
    entries = [
        {"step": int(match.grid[k])}
        | {
            side.name: over_runs(curve[:, k])
            for side, curve in zip(match.sides, curves, strict=True)
        }
        for k in shown
    ]
    name = f"curves_{match.name or 'unnamed'}".replace("/", "-")
    caption = "Mean ± standard deviation over runs at the common steps."
    return tabulate(name, f"Learning curves on {match.name or 'an environment not named'}", caption,
                    entries)  # fmt: skip


def sentence(entries: Sequence[Mapping[str, Any]]) -> str:
    """What the rows of two sides say: one, or one without and one with start states allowed for."""
    names = [f"`{name}`" for name in entries[0]["comparison"].split(" - ")]
    place = f" on {entries[0]['environment']}" if entries[0]["environment"] != NONE else ""
    texts = [
        next(text for begin, text in SENTENCES.items() if entry["verdict"].startswith(begin))
        for entry in entries
    ]
    texts = [text.format(*names, place) for text in texts]
    if len(set(texts)) == 1:
        return f"{texts[0]}."
    return (
        f"That depends on the start states: as measured, {texts[0]}; with the start states allowed"
        f" for, {texts[1]}."
    )


def page(
    sources: Sequence[Source],
    matches: Sequence[Match],
    entries: Sequence[dict[str, Any]],
    settings: Mapping[str, Sequence[str]],
    caveats: Mapping[str, Sequence[str]],
    made: Sequence[Table],
    pictures: Sequence[Picture],
    command: str,
) -> str:
    """The comparison as Markdown."""
    pairs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entry in entries:
        pairs.setdefault((entry["environment"], entry["comparison"]), []).append(entry)
    told = [f"- {source.name}: {source.path}, {source.kind.accepted}; files read:"
            f" {source.curves['file'].nunique()}" for source in sources]  # fmt: skip
    told += [f"- Left out of {source.name}: {', '.join(source.left_out)}"
             for source in sources if source.left_out]  # fmt: skip
    shown = made if len(matches) == 1 else made[:2]
    settings_lines, caveat_lines = (
        [f"{line} ({', '.join(dict.fromkeys(names))})" if len(matches) > 1 else line
         for line, names in lines.items()]
        for lines in (settings, caveats)
    )  # fmt: skip
    return "\n".join([
        f"# {' against '.join(f'`{source.name}`' for source in sources)}\n",
        *([f"    {command}\n"] if command else []),
        "".join(f"- **{sentence(pair)}**\n" for pair in pairs.values()),
        "".join(f"- {line}\n" for line in settings_lines),
        *map(to_markdown, shown),
        "## Caveats\n",
        "".join(f"- {line}\n" for line in caveat_lines or ["None known."]),
        *(f"## {each.title}\n\n![{each.title}]({each.name}.png)\n\n{each.caption}\n"
          for each in pictures),
        "## Sources\n",
        "\n".join(told) + "\n",
    ])  # fmt: skip


def write_files(
    folder: Path,
    text: str,
    made: Sequence[Table],
    pictures: Sequence[Picture],
    matches: Sequence[Match],
    entries: Sequence[dict[str, Any]],
) -> None:
    """The page, its tables as CSV and LaTeX, and all numbers as JSON."""
    html = f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style>{to_html(text)}'
    files: dict[str, str | bytes] = {"compare.md": text, "compare.html": html}
    for table in made:
        files |= {f"{table.name}.csv": to_csv(table), f"{table.name}.tex": to_latex(table)}
    for picture in pictures:
        files |= picture.files
    content = {
        "verdicts": entries,
        "environments": [
            {
                "name": match.name, "at": match.at, "score": match.score,
                "sides": [
                    {
                        "side": side.name, "env_id": side.env_id,
                        "files": sorted(set(side.rows["file"])),
                        "scores": dict(zip(side.names, values.tolist(), strict=True)),
                    }
                    for side, values in zip(match.sides, match.values, strict=True)
                ],
            }
            for match in matches
        ],
    }  # fmt: skip
    write_all(folder, files | {"compare.json": json.dumps(content, indent=2) + "\n"})
