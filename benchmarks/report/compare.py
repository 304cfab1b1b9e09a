"""Verdicts on learning curves made anywhere: sources -> a folder with a page, tables, figures."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import quote

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from benchmarks.analysis.comparisons import Comparison
from benchmarks.analysis.contrast import (
    STARTS_ALLOWED_FOR,
    ComparisonRequest,
    MatchedSides,
    caveats_of,
    compare_pair,
    curve_rows,
    match_sides,
    settings_line,
)
from benchmarks.analysis.load import Results
from benchmarks.analysis.sides import (
    HELD_OUT,
    SCORES,
    environments,
    refuse_shared_files,
    spelled_alike,
)
from benchmarks.analysis.sources.frame import ReadOptions
from benchmarks.analysis.sources.source import Source, read_source
from benchmarks.analysis.starts import parse_starts
from benchmarks.analysis.statistics import MIN_RUNS, MeanAndStd, over_runs
from benchmarks.outputs import write_all
from benchmarks.plot_style import SETTINGS, Picture
from benchmarks.report.figures import learning_curves
from benchmarks.report.page import template, to_html, uri
from benchmarks.report.verdicts import forest_plot
from benchmarks.report.wording import seeds_text
from benchmarks.table import NONE, Bounds, Table, tabulate, to_csv, to_latex, to_markdown
from training.config import ConfigError

RULE = (
    "The verdict is on the typical run: 20% trimmed means with Yuen's intervals (means with Welch's"
    " below five runs). Equivalent: the 90% interval lies within the margin; different: the 95%"
    " interval excludes zero. The difference of means, first minus second, and Welch's interval"
    " decide nothing. How often runs fail is not compared. Seeds needed: on each side, for 80%"
    " power to show equality if there is no difference"
)
MOST_ROWS = 20  # of a table of learning curves
STEP = "step"  # its first column; the others are called as the sides
SENTENCES = {  # by the beginning of an outcome; the first that fits counts
    "equivalent": "{} equals {}{} within the margin",
    "different but negligible": "{} differs from {}{}, but by less than the margin",
    "different": "{} differs from {}{}",
    "undecided": "{} is shown neither to differ from {}{} nor to equal it",
    "none": f"{{}} and {{}} cannot be compared{{}}, which takes {MIN_RUNS} runs of each",
    "describes only": "{} and {}{} are described, not compared: the score picks its moment by luck",
}


def write_comparison(
    words: Sequence[str],
    request: ComparisonRequest,
    options: ReadOptions,
    output: Path,
    command: str = "",
) -> str:
    """Compare sources, and write a folder of its own for the comparison.

    :param words: ``LABEL=PATH`` or ``PATH``, of two sources or more
    :param output: the folder goes below it
    :param command: to name on the page
    :return: the page, as Markdown
    :raises ConfigError: if a source is missing, damaged or ambiguous, or an option is not valid
    """
    if len(words) < 2:
        raise ConfigError(
            f"compare needs two sources or more, LABEL=PATH or PATH, got {len(words)}"
        )
    sources = parse_sources(words, options, request)
    matches = [
        match_sides(sources, name, request) for name in environments(sources, request.env_ids)
    ]
    folder = output / folder_name(sources, request)
    comparisons: list[Comparison] = []
    lines: list[dict[str, list[str]]] = [{}, {}]  # settings, caveats -> on which environments
    for match in matches:
        for i, j in combinations(range(len(match.sides)), 2):
            if match.sides[i].source is match.sides[j].source:
                continue
            more, said = compare_pair(match, i, j, request.margin, parse_starts(request.starts))
            comparisons += more
            settings = [settings_line([match.sides[i], match.sides[j]])]
            for told, of in ((settings, lines[0]), ([*said, *caveats_of(match)], lines[1])):
                for line in dict.fromkeys(told):
                    of.setdefault(line, []).append(match.name)
    made = [verdict_table(comparisons), score_table(matches), *map(curve_table, matches)]
    pictures = draw(matches, comparisons)
    text = page(sources, matches, comparisons, lines, made, pictures, command)
    write_files(folder, text, made, pictures, matches, comparisons)
    return f"{text}\nAll files: {folder}\n"


def parse_sources(
    words: Sequence[str], options: ReadOptions, request: ComparisonRequest
) -> list[Source]:
    """Read sources, ``LABEL=PATH`` or ``PATH``; without a label, the path's last part is the name.

    :raises ConfigError: if two have the same name or a file in common, or an option is not valid
    """
    if request.margin is not None and not 0.0 < request.margin < np.inf:
        raise ConfigError(f"margin must be a number above 0, got {request.margin}")
    if request.score not in (None, *SCORES):
        raise ConfigError(f"score must be one of {', '.join(SCORES)}, got {request.score}")
    declared = parse_starts(request.starts)
    sources: list[Source] = []
    for word in words:
        label, sign, path = word.partition("=")
        if not sign or "/" in label or Path(word).exists():  # an equals sign of the path itself
            label, path = "", word
        if not path:
            raise ConfigError(f"a source must be LABEL=PATH or PATH, got {word!r}")
        source = read_source(Path(path), label or Path(path).resolve().name, options)
        if source.name == STEP or re.match(r"_|.*[$\n]", source.name):
            raise ConfigError(
                f"a source must not be called {STEP}, nor begin with _, nor contain $ or a line"
                f" break, got {source.name!r}: name it, LABEL=PATH"
            )
        for other in sources:
            if other.name == source.name and other.path.resolve() != source.path.resolve():
                raise ConfigError(f"two sources are called {source.name}: name them, LABEL=PATH")
        sources.append(source)
    refuse_shared_files(sources)
    sources = spelled_alike(sources)
    if {label for label in declared if label} - {source.name for source in sources}:
        raise ConfigError(f"starts must name sources: {', '.join(each.name for each in sources)}")
    return sources


def folder_name(sources: Sequence[Source], request: ComparisonRequest) -> str:
    """Name of a comparison's folder, from its sources and options."""
    parts = ["_vs_".join(source.name for source in sources), *request.env_ids]
    parts += [f"at_{request.at}"] * (request.at is not None) + [request.score or ""]
    return "-".join(part.replace("/", "-").replace(":", "-") for part in parts if part)


def verdict_table(comparisons: Sequence[Comparison]) -> Table:
    """All verdicts."""
    measured = [each for each in comparisons if is_measured(each)]
    entries = []
    for each in comparisons:
        entry: dict[str, Any] = {
            "environment": each.env_id, "comparison": f"{each.first} - {each.second}",
            "runs": ", ".join(map(str, each.num_runs)),
        }  # fmt: skip
        if len(measured) < len(comparisons):
            entry["start states"] = "as measured" if is_measured(each) else "allowed for"
        entry["verdict"] = outcome(each)
        if each.verdict:
            typical, mean = each.verdict.typical, each.verdict.mean
            needed = typical.seeds_needed
            entry |= {
                "trimmed difference": typical.difference,
                "90% (Yuen)": Bounds(*typical.within),
                "95% (Yuen)": Bounds(*typical.apart),
                "margin": typical.margin,
                "seeds needed": None if needed is None else seeds_text(needed),
                "difference": mean.difference,
                "95% (Welch)": Bounds(*mean.apart),
            }
        entries.append(entry)
    caption = f"{RULE}. Comparisons made: {len(measured)}, with no correction for their number."
    return tabulate("verdicts", "Verdicts", caption, entries)


def is_measured(each: Comparison) -> bool:
    """Whether scores are compared as they are, without allowing for start states."""
    return not each.metric.endswith(STARTS_ALLOWED_FOR)


def outcome(each: Comparison) -> str:
    """A verdict in a few words."""
    if each.verdict is None:
        return "none"
    describes = each.metric.startswith("max_of_mean")
    return "describes only" if describes else str(each.verdict.outcome)


def score_table(matches: Sequence[MatchedSides]) -> Table:
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
                "at step": side.last_steps_text if match.score in HELD_OUT else int(match.at),
                "measured by": "training episodes" if side.source.kind.is_episodes else
                "held-out starts" if match.score in HELD_OUT else "evaluations",
            })  # fmt: skip
    told = "; ".join(f"{name}: {SCORES[name]}" for name in dict.fromkeys(m.score for m in matches))
    caption = f"Mean ± standard deviation over runs (ddof=1; max_of_mean: ddof=0). {told}."
    return tabulate("scores", "Scores", caption, entries)


def curve_table(match: MatchedSides) -> Table:
    """Mean and standard deviation over runs at some of the common steps."""
    curves = [side.curves_at(match.grid) for side in match.sides]
    shown = np.unique(np.linspace(0, len(match.grid) - 1, MOST_ROWS).round().astype(int))
    entries = [
        {STEP: int(match.grid[k])}
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


def sentence(comparisons: Sequence[Comparison]) -> str:
    """The verdict on two sides as a sentence, or both if start states make a difference."""
    texts = []
    for each in comparisons:
        found = outcome(each)
        text = next(text for begin, text in SENTENCES.items() if found.startswith(begin))
        place = f" on {each.env_id}" if each.env_id != NONE else ""
        texts.append(text.format(f"`{each.first}`", f"`{each.second}`", place))
    if len(set(texts)) == 1:
        return f"{texts[0]}."
    return (
        f"That depends on the start states: as measured, {texts[0]}; with the start states allowed"
        f" for, {texts[1]}."
    )


def draw(matches: Sequence[MatchedSides], comparisons: Sequence[Comparison]) -> list[Picture]:
    """A forest plot of all verdicts, then the learning curves on each environment."""
    forest = forest_plot(comparisons)
    pictures = [forest._replace(title="All differences")] if forest else []
    for match in matches:
        name = match.name or "unnamed"
        curves = pd.concat([curve_rows(match, j, name) for j in range(len(match.sides))])
        results = Results(curves, curves, curves, {}, [], [], [], {}, None)
        with plt.rc_context(SETTINGS):
            pictures.append(learning_curves(results, name, {}, half_std=False))
    return pictures


def page(
    sources: Sequence[Source],
    matches: Sequence[MatchedSides],
    comparisons: Sequence[Comparison],
    lines: Sequence[Mapping[str, Sequence[str]]],
    made: Sequence[Table],
    pictures: Sequence[Picture],
    command: str,
) -> str:
    """The comparison as Markdown.

    :param lines: on settings, and caveats, each with the environments that it is about
    """
    pairs: dict[tuple[str, str, str], list[Comparison]] = {}
    for each in comparisons:
        pairs.setdefault((each.env_id, each.first, each.second), []).append(each)
    told = [f"- {source.name}: {source.path}, {source.kind.accepted}; files read:"
            f" {source.curves['file'].nunique()}" for source in sources]  # fmt: skip
    told += [f"- Left out of {source.name}: {', '.join(source.left_out)}"
             for source in sources if source.left_out]  # fmt: skip
    settings, caveats = (
        [f"{line} ({', '.join(dict.fromkeys(names))})" if len(matches) > 1 else line
         for line, names in of.items()]
        for of in lines
    )  # fmt: skip
    return "\n".join([
        f"# {' against '.join(f'`{source.name}`' for source in sources)}\n",
        *([f"    {command}\n"] if command else []),
        "".join(f"- **{sentence(pair)}**\n" for pair in pairs.values()),
        "".join(f"- {line}\n" for line in settings),
        *map(to_markdown, made if len(matches) == 1 else made[:2]),
        "## Caveats\n",
        "".join(f"- {line}\n" for line in caveats or ["None known."]),
        *(f"## {each.title}\n\n![{each.title}]({quote(each.name)}.png)\n\n{each.caption}\n"
          for each in pictures),
        "## Sources\n",
        "\n".join(told) + "\n",
    ])  # fmt: skip


def write_files(
    folder: Path,
    text: str,
    made: Sequence[Table],
    pictures: Sequence[Picture],
    matches: Sequence[MatchedSides],
    comparisons: Sequence[Comparison],
) -> None:
    """The page, alone and with its figures; its tables as CSV and LaTeX; all numbers as JSON."""
    html = template("plain").render(title=folder.name, body=to_html(text))
    for each in pictures:
        html = html.replace(f'src="{quote(each.name)}.png"', f'src="{uri(each.png, "image/png")}"')
    files: dict[str, str | bytes] = {"compare.md": text, "compare.html": html}
    for table in made:
        files |= {f"{table.name}.csv": to_csv(table), f"{table.name}.tex": to_latex(table)}
    for picture in pictures:
        files |= picture.files
    content = {
        "verdicts": [asdict(each) for each in comparisons],
        "environments": [
            {
                "name": match.name, "at": match.at, "score": match.score,
                "sides": [
                    {
                        "side": side.name, "env_id": side.env_id,
                        "files": sorted(set(side.rows["file"])),
                        "scores": dict(zip(side.run_names, values.tolist(), strict=True)),
                    }
                    for side, values in zip(match.sides, match.values, strict=True)
                ],
            }
            for match in matches
        ],
    }  # fmt: skip
    write_all(folder, files | {"compare.json": json.dumps(content, indent=2) + "\n"})
