"""Claims and their verdicts in Markdown, one row each."""

from __future__ import annotations

from collections.abc import Sequence

from pnas_sim.report.comparison_markdown import make_table
from pnas_sim.report.comparison_table import format_factor, format_points
from pnas_sim.report.text import UNKNOWN
from pnas_sim.study.claims import Finding, Verdict

WORDS = {True: "holds", False: "does not hold", None: "not measured"}


def make_claim_table(verdicts: Sequence[Verdict]) -> list[str]:
    """A row a claim: what each surrogate family says, and the verdict; the figure that is most against it."""
    families = list(verdicts[0].findings) if verdicts else []
    return make_table(
        ("claim", *families, "verdict", "by the symmetrical counting"),
        (
            (
                verdict.text,
                *(format_finding(verdict.findings[family]) for family in families),
                f"**{'supported' if verdict.supported else 'not supported'}**: {verdict.reason}",
                ", ".join(f"{WORDS[one.holds]} on {family}" for family, one in verdict.symmetrical.items()),
            )
            for verdict in verdicts
        ),
    )


def format_finding(finding: Finding) -> str:
    """Whether a claim holds in a comparison, and the figure that decides."""
    if finding.holds is None:
        return UNKNOWN
    return f"{WORDS[finding.holds]}: {_format_figure(finding)}"


def _format_figure(finding: Finding) -> str:
    figure = finding.figure
    text = f"{format_factor(figure)} times" if "bound" in figure else f"{format_points(figure)} points"
    who = f"{finding.searches[0]} " if len(finding.searches) > 1 else ""
    return f"{text} {who}against {finding.searches[-1]}, top {finding.top}"
