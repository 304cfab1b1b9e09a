"""A folder of runs -> a folder of tables and figures, and a page that shows them all."""

import base64
import json
import shutil
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markdown_it import MarkdownIt

from benchmarks import tables
from benchmarks.drawing import Picture
from benchmarks.experiments import DECLARED_FIRST
from benchmarks.fidelity.report import FIDELITY_PAGE
from benchmarks.latex import to_latex
from benchmarks.markup import Table, to_markdown
from benchmarks.plots import plot_all
from benchmarks.results import Results, load_results

PRINTED = ("verdicts", "summary", "learning_curves", "paper")  # tables for the terminal
PAGE = "report.html"
MOST_SENTENCES = 6  # so many verdicts are told in full at the head of the page
MANIFEST = "report_files.txt"  # names the files of a report, which the next one removes


def write_report(root: Path, output: Path, paper: bool = False, half_std: bool = False) -> str:
    """Write tables (CSV, Markdown, LaTeX), figures (PNG, SVG) and the page; nothing is trained.

    :param root: folder that holds the run directories
    :param output: folder for the report, made if need be
    :param paper: whether to put Table 1 of the TD3 paper beside the results
    :param half_std: whether learning curves are shaded by half a standard deviation
    :return: the verdicts and main tables as text
    :raises FileNotFoundError: if there is no complete run
    :raises ConfigError: if the runs do not go together, or have nothing in common with the paper
    """
    from benchmarks.showcase import showcase  # which needs torch

    results = load_results(root)
    made = tables.all_tables(results, paper)
    output.mkdir(parents=True, exist_ok=True)
    manifest = output / MANIFEST
    for name in manifest.read_text().splitlines() if manifest.exists() else ():
        (output / Path(name).name).unlink(missing_ok=True)
    pictures = plot_all(results, next((t for t in made if t.name == "aggregate"), None), output,
                        half_std)  # fmt: skip
    shown = showcase(results, root, output)
    made += [shown.table] if shown.table else []
    for table in made:
        table.data.to_csv(output / f"{table.name}.csv", index=False)
        (output / f"{table.name}.md").write_text(to_markdown(table), encoding="utf-8")
        (output / f"{table.name}.tex").write_text(to_latex(table), encoding="utf-8")
    fidelity = output.parent / FIDELITY_PAGE
    if fidelity.exists():
        shutil.copy(fidelity, output / FIDELITY_PAGE)
    page = Environment(
        loader=PackageLoader("benchmarks"), autoescape=True, trim_blocks=True
    ).get_template("report.html.j2")
    experiment = results.experiment or {}
    html = page.render(
        name=root.name,
        description=experiment.get("description"),
        sentences=sentences(made),
        unfinished=results.unfinished,
        pictures=[embedded(picture, output) for picture in [*pictures, *shown.pictures]],
        tables=made,
        animations=[(title, uri(output / f"{name}.gif", "image/gif"))
                    for name, title in shown.animations],
        missing=shown.missing,
        fidelity=to_html(fidelity.read_text(encoding="utf-8")) if fidelity.exists() else None,
        sha256=experiment.get("sha256"),
        declared_first=experiment.get(DECLARED_FIRST, True),
        declaration=json.dumps(experiment.get("declaration"), indent=2),
        provenance=[json.dumps(each, indent=2) for each in results.provenance],
    )  # fmt: skip
    (output / PAGE).write_text(html, encoding="utf-8")
    files = [PAGE, *([FIDELITY_PAGE] if fidelity.exists() else [])]
    files += [f"{table.name}.{suffix}" for table in made for suffix in ("csv", "md", "tex")]
    files += [f"{each.name}.{kind}" for each in [*pictures, *shown.pictures]
              for kind in ("png", "svg")]  # fmt: skip
    files += [f"{name}.gif" for name, _ in shown.animations]
    manifest.write_text("".join(f"{name}\n" for name in files))
    return terminal_text(results, made)


def sentences(made: list[Table]) -> list[str]:
    """Each verdict as a sentence, or each environment's in short where that would fill a page."""
    verdicts = next((table for table in made if table.name == "verdicts"), None)
    if verdicts is None:
        return []
    rows = [dict(zip(verdicts.header, row, strict=True)) for row in verdicts.rows]
    if len(rows) <= MOST_SENTENCES:
        return [sentence(row) for row in rows]
    by_environment = itemgetter("environment")
    return [in_short(env_id, list(group)) for env_id, group in groupby(rows, by_environment)]


def sentence(row: dict[str, str]) -> str:
    """What a row of the verdicts says."""
    line = f"{row['environment']}, {pair(row)}: {row['verdict']}."
    if row["difference"] != "-":
        line += (
            f" The difference of mean returns is {row['difference']}, 90% interval"
            f" {row['90% interval']}, 95% interval {row['95% interval']}; the margin is"
            f" {row['margin']} (seeds: {row['seeds']})."
        )
    if row["seeds for 80% power"] != "-":
        line += (
            f" If there were no difference, {row['seeds for 80% power']} seeds of each would"
            " show equivalence with 80% power."
        )
    return line


def in_short(env_id: str, rows: list[dict[str, str]]) -> str:
    """An environment's pairs and their differences by verdict; the table below has the rest."""
    pairs: dict[str, list[str]] = {}
    for row in rows:
        pairs.setdefault(row["verdict"], []).append(f"{pair(row)} ({row['difference']})")
    verdicts = " ".join(f"{', '.join(of)}: {verdict}." for verdict, of in pairs.items())
    return f"{env_id}, differences of mean returns in brackets. {verdicts}"


def pair(row: dict[str, str]) -> str:
    """What a row compares."""
    return row["comparison"].replace(" - ", " against ")


def to_html(page: str) -> str:
    """Markdown as HTML, its headings a level below the page's; HTML in it stays text."""
    markdown = MarkdownIt("js-default")
    tokens = markdown.parse(page)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{int(token.tag[1:]) + 1}"
    html: str = markdown.renderer.render(tokens, markdown.options, {})
    html = html.replace("<table>", '<div class="scroll" tabindex="0"><table>')
    return html.replace("</table>", "</table></div>")


def embedded(picture: Picture, folder: Path) -> dict[str, Any]:
    """A figure with its content, for the page."""
    content = uri(folder / f"{picture.name}.svg", "image/svg+xml")
    return {"title": picture.title, "caption": picture.caption, "uri": content}


def uri(file: Path, kind: str) -> str:
    """A file's content as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"


def terminal_text(results: Results, made: list[Table]) -> str:
    """The main tables, and what was left out."""
    parts = [to_markdown(table) for table in made if table.name in PRINTED]
    if results.unfinished:
        parts.append(f"Left out, being incomplete: {', '.join(results.unfinished)}\n")
    return "\n".join(parts)
