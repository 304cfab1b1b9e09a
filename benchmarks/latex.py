"""A table as LaTeX, with the rules of booktabs."""

import re

from benchmarks.table import Table

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
    r"""A ``table`` environment, for a document with ``\usepackage{booktabs,graphicx}``."""
    columns = list(zip(table.header, *table.rows, strict=True))
    # Names to the left, numbers to the right.
    named = [any(cell[0].isalpha() for cell in column[1:]) for column in columns]
    lines = [rf"\begin{{tabular}}{{{''.join('l' if each else 'r' for each in named)}}}",
             r"\toprule", _line(table.header, set()), r"\midrule"]  # fmt: skip
    for i, row in enumerate(table.rows):
        lines.append(_line(row, {j for j in range(len(row)) if (i, j) in table.bold}))
    lines += [r"\bottomrule", r"\end{tabular}"]
    if sum(max(map(len, column)) + 2 for column in columns) > WIDE:
        lines = [r"\resizebox{\textwidth}{!}{%", *lines, "}"]
    return "\n".join(
        [
            *("% needs booktabs and graphicx", r"\begin{table}", r"\centering", r"\small"),
            f"\\caption{{{escape(table.title)}. {escape(table.caption)}}}",
            *(f"\\label{{tab:{table.name}}}", *lines, "\\end{table}\n"),
        ]
    )


def escape(text: str) -> str:
    """Plain text as LaTeX; the hyphen before a number becomes a minus sign."""
    escaped = "".join(ESCAPES.get(letter, letter) for letter in text)
    return re.sub(r"(?<![\w.)-])-(?=\d)", r"\(-\)", escaped)


def _line(cells: list[str], bold: set[int]) -> str:
    texts = [escape(cell) for cell in cells]
    return " & ".join(rf"\textbf{{{text}}}" if j in bold else text
                      for j, text in enumerate(texts)) + r" \\"  # fmt: skip
