"""A table as LaTeX, with the rules of booktabs."""

import re

import pandas as pd

from benchmarks.table import Table, printable

WIDE = 100  # characters in a line beyond which a table is shrunk to the width of the text
# Letters with a meaning in LaTeX, or without one in its standard font encoding. A row that began
# with a bracket would be read as an argument of the line break before it.
ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "[": "{[}", "]": "{]}",
    "_": r"\_", "&": r"\&", "%": r"\%", "#": r"\#", "$": r"\$",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\(<\)", ">": r"\(>\)",
    "±": r"\(\pm\)", "²": r"\(^2\)",
}  # fmt: skip


def to_latex(table: Table) -> str:
    r"""A ``table`` environment, for a document with ``\usepackage{booktabs,graphicx}``.

    How to read it stands in a note below the table, not in the caption.
    """
    columns = list(zip(table.header, *table.rows, strict=True))
    cells = pd.DataFrame(table.rows, columns=table.header).map(escape)
    bold = pd.DataFrame("", cells.index, cells.columns)
    for i, j in table.bold:
        bold.iloc[i, j] = "textbf:--rwrap;"
    latex: str = (
        cells.style.hide(axis="index")
        .format_index(lambda name: escape(str(name)), axis="columns")
        .apply(lambda _: bold, axis=None)
        .to_latex(
            # Names to the left, numbers to the right.
            column_format="".join(
                "l" if any(cell[:1].isalpha() for cell in column[1:]) else "r" for column in columns
            ),
            hrules=True,
            position_float="centering",
            caption=f"{escape(table.title)}. {escape(table.short)}",
            label=f"tab:{table.name}",
        )
    )
    if sum(max(map(len, column)) + 2 for column in columns) > WIDE:
        latex = latex.replace(r"\begin{tabular}", "\\resizebox{\\textwidth}{!}{%\n\\begin{tabular}")
        latex = latex.replace(r"\end{tabular}", "\\end{tabular}\n}")
    if table.notes:
        note = f"\n\\par\\smallskip\n{{\\footnotesize {escape(table.notes)}\\par}}\n"
        latex = latex.replace(r"\end{table}", note.lstrip("\n") + r"\end{table}")
    return "% needs booktabs and graphicx\n" + latex.replace(r"\centering", "\\centering\n\\small")


def escape(text: str) -> str:
    """Plain text as LaTeX; the hyphen before a number becomes a minus sign."""
    escaped = "".join(ESCAPES.get(letter, letter) for letter in printable(text))
    return re.sub(r"(?<![\w.)-])-(?=\d)", r"\(-\)", escaped)
