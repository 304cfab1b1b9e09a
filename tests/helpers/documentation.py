"""Commands, snippets, names and links of a Markdown page."""

import re
import shlex
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.helpers.command_lines import ROOT

COMMAND = re.compile(r"(?:[A-Z_]+=\S* .*)?(?:\.venv/bin/\w+ |\.ci/run|python3? |pip |conda |make )")
TREE_LINE = re.compile(r"( *)([\w.-]+/?(?:[\w.-]+)?)(?:  +\S.*)?")


class Page:
    """A page of the documentation.

    :param path: where it is, or would be
    :param text: its content; read from the file if None
    """

    def __init__(self, path: Path, text: str | None = None) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8") if text is None else text
        self._tokens = MarkdownIt("commonmark").enable("table").parse(self.text)

    @property
    def name(self) -> str:
        """Its path from the root of the repository."""
        return str(self.path.relative_to(ROOT))

    @cached_property
    def commands(self) -> list[list[str]]:
        """Words of all commands, those within a sentence included, without trailing comments."""
        lines = [line for block in self._shell_blocks for line in logical_lines(block)]
        lines += [span for span in self.spans if COMMAND.match(span) and "..." not in span]
        return [shlex.split(re.sub("<[^>]*>", "PLACEHOLDER", line), comments=True)
                for line in lines]  # fmt: skip

    @cached_property
    def snippets(self) -> list[str]:
        """Blocks of Python code."""
        return [block for block in self._blocks if re.search("^(from|import|class) ", block, re.M)]

    @cached_property
    def trees(self) -> list[list[str]]:
        """Paths in each picture of a layout: blocks with a folder in every line."""
        return [paths for block in self._blocks if (paths := list(tree_paths(block)))]

    @cached_property
    def spans(self) -> list[str]:
        """Texts set as code within sentences and tables, on one line each."""
        return [token.content for token in self._inline if token.type == "code_inline"]

    @cached_property
    def links(self) -> list[str]:
        """Targets of links, those to other sites left out."""
        links = [token for token in self._inline if token.type == "link_open"]
        targets = [str(link.attrGet("href")) for link in links]
        return [target for target in targets if not re.match("[a-z]+:", target)]

    @cached_property
    def anchors(self) -> list[str]:
        """What GitHub calls the headings."""
        headings = [
            self._tokens[i + 1].content
            for i, token in enumerate(self._tokens)
            if token.type == "heading_open"
        ]
        return [re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings]

    def table_column(self, heading: str) -> list[str]:
        """Cells of the first column of the table with this first heading, without code marks.

        :raises AssertionError: if there is no such table
        """
        rows = re.search(rf"^\| {heading} \|.*\n\|[-| ]+\n((?:\|.*\n)+)", self.text, re.M)
        assert rows, f"{self.path} has no table whose first column is {heading}"
        return [row.split("|")[1].strip(" `") for row in rows[1].splitlines()]

    @property
    def _blocks(self) -> list[str]:
        return [token.content for token in self._tokens if token.type in ("code_block", "fence")]

    @property
    def _shell_blocks(self) -> list[str]:
        return [block for block in self._blocks if COMMAND.match(block)]

    @property
    def _inline(self) -> Iterator[Token]:
        for token in self._tokens:
            yield from token.children or ()


def logical_lines(block: str) -> list[str]:
    """Lines of a shell block, those that a backslash continues as one, empty ones left out."""
    return [line for line in block.replace("\\\n", " ").split("\n") if line.strip()]


def tree_paths(block: str) -> Iterator[str]:
    """Paths that a picture of folders names by indentation; nothing for other blocks."""
    lines = [TREE_LINE.fullmatch(line) for line in block.rstrip().split("\n")]
    if not all(lines) or not any(line and line[2].endswith("/") for line in lines):
        return
    folders: list[str] = []
    for line in lines:
        assert line
        del folders[len(line[1]) // 2 :]
        yield "".join([*folders, line[2]])
        folders.append(line[2])
