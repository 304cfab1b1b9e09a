"""A folder of runs -> a folder of tables and figures, and a page that shows them all."""

import base64
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markdown_it import MarkdownIt

from benchmarks.analysis.comparisons import Comparison, compare
from benchmarks.analysis.contrast import Request, add_sources
from benchmarks.analysis.load import Results, load_results
from benchmarks.analysis.sources.source import Source
from benchmarks.experiments import DECLARED_FIRST, MIN_VERDICT
from benchmarks.fidelity.report import FIDELITY_PAGE
from benchmarks.latex import to_latex
from benchmarks.plot_style import Picture
from benchmarks.report import tables
from benchmarks.report.figures import plot_all
from benchmarks.report.forest import forest_plot
from benchmarks.report.wording import sentences
from benchmarks.table import Table, to_markdown

PRINTED = ("verdicts", "summary", "learning_curves", "paper")  # tables for the terminal
PAGE = "report.html"
VERDICTS = "verdicts.json"  # the comparisons as records
KEYS = ("env_id", "first", "second", "metric")  # what tells them apart
MANIFEST = "report_files.txt"  # names the files of a report, which the next one removes


def write_report(
    root: Path,
    output: Path,
    paper: bool = False,
    half_std: bool = False,
    others: Sequence[Source] = (),
    request: Request | None = None,
) -> str:
    """Write tables (CSV, Markdown, LaTeX), figures (PNG, SVG) and the page; nothing is trained.

    The verdicts as records go to verdicts.json, where the next report finds them.

    :param root: folder that holds the run directories
    :param output: folder for the report, made if need be
    :param paper: whether to put Table 1 of the TD3 paper beside the results
    :param half_std: whether learning curves are shaded by half a standard deviation
    :param others: learning curves to put beside the experiment's own
    :param request: how these are compared
    :return: the verdicts and main tables as text
    :raises FileNotFoundError: if there is no complete run
    :raises ConfigError: if the runs do not go together, or have nothing in common with the paper
    """
    from benchmarks.report.gallery import showcase  # which needs torch

    results = load_results(root)
    comparisons = with_history(compare(results), output / VERDICTS)
    if others:
        results, more = add_sources(results, root, others, request or Request())
        comparisons += more
    made = tables.all_tables(results, paper, comparisons)
    head = sentences(results, comparisons, root.name)
    output.mkdir(parents=True, exist_ok=True)
    manifest = output / MANIFEST
    for name in manifest.read_text().splitlines() if manifest.exists() else ():
        (output / Path(name).name).unlink(missing_ok=True)
    records = [asdict(each) for each in comparisons]
    (output / VERDICTS).write_text(json.dumps(records, indent=2) + "\n", encoding="utf-8")
    forest = forest_plot(comparisons, output)
    pictures = [forest] if forest else []
    pictures += plot_all(results, next((t for t in made if t.name == "aggregate"), None), output,
                         half_std)  # fmt: skip
    shown = showcase(results.own, root, output)
    made += [shown.table] if shown.table else []
    for table in made:
        table.data.to_csv(output / f"{table.name}.csv", index=False)
        (output / f"{table.name}.md").write_text(to_markdown(table), encoding="utf-8")
        (output / f"{table.name}.tex").write_text(to_latex(table), encoding="utf-8")
    fidelity = output.parent / FIDELITY_PAGE
    if fidelity.exists():
        shutil.copy(fidelity, output / FIDELITY_PAGE)
    page = Environment(
        loader=PackageLoader("benchmarks.report"), autoescape=True, trim_blocks=True
    ).get_template("report.html.j2")
    experiment = results.experiment or {}
    html = page.render(
        name=root.name,
        description=experiment.get("description"),
        mixture=results.mixture,
        sentences=head,
        unfinished=results.unfinished,
        notes=results.notes,
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
    files = [PAGE, VERDICTS, *([FIDELITY_PAGE] if fidelity.exists() else [])]
    files += [f"{table.name}.{suffix}" for table in made for suffix in ("csv", "md", "tex")]
    files += [f"{each.name}.{kind}" for each in [*pictures, *shown.pictures]
              for kind in ("png", "svg")]  # fmt: skip
    files += [f"{name}.gif" for name, _ in shown.animations]
    manifest.write_text("".join(f"{name}\n" for name in files))
    return terminal_text(results, made, head)


def with_history(comparisons: Sequence[Comparison], file: Path) -> list[Comparison]:
    """Note on how many seeds verdicts were written before, from the last report's records.

    :param file: verdicts.json, which need not be there
    """
    if not file.exists():
        return list(comparisons)
    old = {tuple(each[name] for name in KEYS): each for each in json.loads(file.read_text())}
    noted = []
    for each in comparisons:
        before = old.get(tuple(getattr(each, name) for name in KEYS))
        if before is not None and before["verdict"] and each.verdict and not each.planned_looks:
            number, earlier = min(before["verdict"]["num_runs"]), tuple(before["earlier"])
            if MIN_VERDICT <= number < min(each.verdict.num_runs):
                earlier += (number,)
            earlier = tuple(n for n in earlier if n < min(each.verdict.num_runs))
            each = replace(each, earlier=earlier)
        noted.append(each)
    return noted


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


def terminal_text(results: Results, made: Sequence[Table], head: Sequence[tuple[str, str]]) -> str:
    """What qualifies the verdicts, the verdicts themselves, the main tables, what was left out."""
    parts = [f"{results.mixture}\n"] if results.mixture else []
    parts += [f"Note: {note}\n" for note in results.notes]
    parts += [f"{line}\n" for paragraph in head for line in paragraph if line]
    parts += [to_markdown(table) for table in made if table.name in PRINTED]
    if results.unfinished:
        parts.append(f"Left out, being incomplete: {', '.join(results.unfinished)}\n")
    return "\n".join(parts)
