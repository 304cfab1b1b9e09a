"""A folder of runs -> a folder of tables and figures, and a page that shows them all."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader
from markdown_it import MarkdownIt

from benchmarks.analysis.comparisons import Comparison, compare_all
from benchmarks.analysis.contrast import ComparisonRequest, add_sources
from benchmarks.analysis.load import Results, load_results
from benchmarks.analysis.sources.published import unpacked
from benchmarks.analysis.sources.source import Source
from benchmarks.appearance import Appearance, rename_implementations, select_columns
from benchmarks.declaration import history_text
from benchmarks.experiments import DECLARED_FIRST, MIN_VERDICT_SEEDS
from benchmarks.fidelity.kit import ignore_message
from benchmarks.fidelity.report import FIDELITY_NUMBERS, FIDELITY_PAGE
from benchmarks.outputs import write_all
from benchmarks.plot_style import Picture, using_figure_style
from benchmarks.report import tables
from benchmarks.report.figures import plot_all
from benchmarks.report.scores import standings
from benchmarks.report.terminal import terminal_text
from benchmarks.report.verdicts import forest_plot
from benchmarks.report.wording import as_sentence, sentences
from benchmarks.table import Table, printable, to_csv, to_latex, to_markdown
from training.config import REFERENCE, reading
from training.schemas import read_json

if TYPE_CHECKING:
    from benchmarks.report.gallery import Animation

PAGE = "report.html"
VERDICTS = "verdicts.json"  # the comparisons as records
KEYS = ("env_id", "first", "second", "metric")  # what tells them apart
MANIFEST = "report_files.txt"  # names the files of a report, which the next one removes


@reading()
def write_report(
    root: Path,
    output: Path,
    paper: bool = False,
    half_std: bool = False,
    say: Callable[[str], None] = ignore_message,
    others: Sequence[Source] = (),
    request: ComparisonRequest | None = None,
    appearance: Appearance = Appearance(),  # noqa: B008  (read only)
) -> str:
    """Write tables (CSV, Markdown, LaTeX), figures (PNG, SVG) and the page; nothing is trained.

    All files appear at the end, or none if one cannot be written. The verdicts as records go to
    verdicts.json, where the next report finds them.

    :param root: folder that holds the run directories, or of a published experiment
    :param output: folder for the report, made if need be
    :param paper: whether to put Table 1 of the TD3 paper beside the results
    :param half_std: whether learning curves are shaded by half a standard deviation
    :param say: called with a line for each step of the work
    :param others: learning curves to put beside the experiment's own
    :param request: how these are compared
    :param appearance: of figures, names and LaTeX tables
    :return: the verdicts and a table, for a terminal
    :raises FileNotFoundError: if there is no complete run
    :raises ConfigError: if the runs do not go together, or have nothing in common with the paper
    :raises OSError: naming the file that cannot be written
    """
    from benchmarks.report.gallery import showcase  # which needs torch

    folder = unpacked(root)
    if any(folder.glob("*/*/config.json")):
        say(f"Reading the runs in {root} ...")
    results, comparisons = compared(root, output / VERDICTS, others, request or ComparisonRequest())
    records = json.dumps([asdict(each) for each in comparisons], indent=2) + "\n"
    results, comparisons = rename_implementations(results, comparisons, appearance.labels)
    head = heading(results, comparisons, root.name)
    found = standings(results.own)
    made = tables.all_tables(results, paper, comparisons, found)
    select_columns(made, appearance.columns)  # refuse before figures are drawn, which takes long
    say("Drawing figures ...")
    with using_figure_style(appearance.figure_style):
        forest, pictures = forest_plot(comparisons), plot_all(results, found, half_std)
        say("Playing the policies ...")
        shown = showcase(results.own, folder)
    pictures += shown.pictures
    made += [shown.table] if shown.table else []
    fidelity = fidelity_files(results, output.parent)
    drawn = [forest, *pictures] if forest else pictures
    files = {VERDICTS: records, **picture_files(drawn, shown.animations)}
    files |= {**table_files(made, appearance.columns), **fidelity}
    files[PAGE] = template("report").render(
        **about(results, root.name), sentences=head, forest=forest, pictures=pictures, tables=made,
        animations=shown.animations, missing=shown.missing, fidelity=list(fidelity)[-1:],
    )  # fmt: skip
    publish(output, files)
    shown_too = [table for table in made if table.name == "paper"]
    return printable(terminal_text(results, comparisons, root.name, shown_too), kept="\n")


def heading(
    results: Results, comparisons: Sequence[Comparison], name: str
) -> list[tuple[str, str]]:
    """The verdicts; before them a line on the declarations, if there were several."""
    line = history_text(results.experiment, len(results.finals))
    return [*([(line, "")] if line else []), *sentences(results, comparisons, name)]


def picture_files(
    pictures: Sequence[Picture], animations: Sequence["Animation"]
) -> dict[str, str | bytes]:
    """Each figure in its formats, each animation as a GIF."""
    files: dict[str, str | bytes] = {}
    for picture in pictures:
        files |= picture.files
    return files | {f"{each.name}.gif": each.gif for each in animations}


def table_files(made: Sequence[Table], columns: Sequence[str]) -> dict[str, str]:
    """Each table as CSV, Markdown and LaTeX.

    :param columns: those to keep in LaTeX tables that have all of them; empty: every column
    """
    files = {}
    for table, printed in zip(made, select_columns(made, columns), strict=True):
        files[f"{table.name}.csv"] = to_csv(table)
        files[f"{table.name}.md"] = to_markdown(table)
        files[f"{table.name}.tex"] = to_latex(printed)
    return files


def compared(
    root: Path, history: Path, others: Sequence[Source], request: ComparisonRequest
) -> tuple[Results, list[Comparison]]:
    """The runs and all comparisons, further sources included."""
    results = load_results(unpacked(root))
    comparisons = with_history(compare_all(results), history)
    if others:
        results, more = add_sources(results, root, others, request)
        comparisons = sorted([*comparisons, *more], key=lambda each: each.env_id)
    return results, comparisons


def about(results: Results, name: str) -> dict[str, Any]:
    """What the page says of the runs themselves."""
    experiment = results.experiment or {}
    return {
        "name": name,
        "description": as_sentence(experiment.get("description") or ""),
        "mixture": results.software_differences,
        "unfinished": results.unfinished,
        "notes": results.notes,
        "sha256": experiment.get("sha256"),
        "declared_first": experiment.get(DECLARED_FIRST, True),
        "declaration": json.dumps(experiment.get("declaration"), indent=2),
        "provenance": [json.dumps(each, indent=2) for each in results.provenance],
    }


def template(name: str) -> Any:
    """A page's template, in which all text is escaped."""
    loader = PackageLoader("benchmarks.report")
    pages = Environment(loader=loader, autoescape=True, trim_blocks=True)
    pages.filters |= {"uri": uri, "printable": printable}
    return pages.get_template(f"{name}.html.j2")


def fidelity_files(results: Results, folder: Path) -> dict[str, str | bytes]:
    """The fidelity pages, if the reference takes part and there are any: as text, and as HTML."""
    algos = {settings["config"]["algo"] for settings in results.settings.values()}
    text = fidelity_pages(folder)
    if REFERENCE not in algos or not text:
        return {}
    html = template("plain").render(title="Is it the published TD3?", body=to_html(text))
    return {FIDELITY_PAGE: text, Path(FIDELITY_PAGE).with_suffix(".html").name: html}


def publish(output: Path, files: dict[str, str | bytes]) -> None:
    """Write a report in place of the last one, and delete that one's other files."""
    manifest = output / MANIFEST
    old = manifest.read_text(encoding="utf-8").splitlines() if manifest.exists() else []
    write_all(output, files | {MANIFEST: "".join(f"{name}\n" for name in files)})
    for name in {Path(line).name for line in old} - {*files, MANIFEST}:
        (output / name).unlink(missing_ok=True)


def with_history(comparisons: Sequence[Comparison], file: Path) -> list[Comparison]:
    """Add the numbers of seeds of earlier verdicts, from the last report's records.

    :param file: verdicts.json, which may be missing
    """
    if not file.exists():
        return list(comparisons)
    old = {tuple(each[name] for name in KEYS): each for each in read_json(file)}
    noted = []
    for each in comparisons:
        before = old.get(tuple(getattr(each, name) for name in KEYS))
        if before is not None and before["verdict"] and each.verdict and not each.planned_looks:
            number, earlier = min(before["verdict"]["num_runs"]), tuple(before["earlier"])
            if MIN_VERDICT_SEEDS <= number < min(each.verdict.num_runs):
                earlier += (number,)
            earlier = tuple(n for n in earlier if n < min(each.verdict.num_runs))
            each = replace(each, earlier=earlier)
        noted.append(each)
    return noted


def fidelity_pages(folder: Path) -> str:
    """The pages of ``python -m benchmarks fidelity``: the reference's, then those of adapters."""
    adapters = sorted(folder.glob(f"*/{FIDELITY_NUMBERS}"))
    files = [folder / FIDELITY_PAGE, *(file.with_name(FIDELITY_PAGE) for file in adapters)]
    return "\n".join(file.read_text(encoding="utf-8") for file in files if file.exists())


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


def uri(content: bytes, kind: str) -> str:
    """A file's content as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
