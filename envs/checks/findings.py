"""What the environment checker finds, why it matters, and the report made of it."""

import textwrap
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One thing found in an environment, with what was observed and how to mend it.

    :param severity: one of SEVERITIES
    """

    severity: str
    key: str
    observed: str
    why: str
    remedy: str


# By severity and key: why it matters for training, and how to mend it.
EXPLANATIONS: dict[str, dict[str, dict[str, str]]] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
)


def finding(key: str, observed: str) -> Finding:
    """A finding with the severity and the explanation that belong to its key."""
    (severity,) = (severity for severity, keys in EXPLANATIONS.items() if key in keys)
    return Finding(severity, key, observed, **EXPLANATIONS[severity][key])


def has_errors(findings: Sequence[Finding]) -> bool:
    """Whether any of the findings is an error."""
    return any(found.severity == "error" for found in findings)


def format_report(name: str, findings: Sequence[Finding]) -> str:
    """The findings as text, in their order, with a summary of ``name`` as the last line."""
    lines = []
    for found in findings:
        lines.append(f"{found.severity.upper()}: {found.key}")
        texts = {"observed": found.observed, "matters": found.why, "mend": found.remedy}
        for title, text in texts.items():
            indent = f"  {title:<9} "
            lines.append(textwrap.fill(text, 96, initial_indent=indent, subsequent_indent=" " * 12))
        lines.append("")
    if has_errors(findings):
        lines.append("What SB3's and Gymnasium's own checkers say is left out while errors remain.")
    counts = Counter(found.severity for found in findings)
    amounts = [f"{counts[kind]} {kind}{'s' * (counts[kind] != 1)}" for kind in SEVERITIES]
    return "\n".join([*lines, f"{name}: {', '.join(amounts)}"])
