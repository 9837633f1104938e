from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from pnas_sim.errors import SettingError
from pnas_sim.report.comparison_markdown import make_table, write_markdown
from pnas_sim.report.comparison_plots import (
    draw_comparison,
    draw_speed_ups,
    render,
    render_pictures,
)
from pnas_sim.report.comparison_sheets import (
    format_p_value,
    list_topics,
    make_final_table,
    make_manifest_table,
    make_paper_table,
)
from pnas_sim.report.comparison_table import (
    format_bounded,
    format_factor,
    format_needed,
    format_points,
    format_range,
    print_comparison,
    write_factor,
)
from pnas_sim.report.console import open_console
from pnas_sim.report.progress import format_job_standing, open_job_progress
from pnas_sim.study.pool import Standing
from pnas_sim.texts import change_texts, escape_markdown

MakeComparison = Callable[..., dict[str, Any]]


def censored(
    value: float | None, low: float | None, high: float | None, reached: float | None
) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "reached": reached, "bound": 5.2}


@pytest.mark.parametrize(
    ("figure", "long", "short", "span"),
    [
        (censored(5.0, 3.4, 5.1, 1.0), "5.0 (3.4 to 5.1)", "5.0", "3.4..5.1"),
        (censored(5.0, 3.4, None, 0.9), "5.0 (3.4 to > 5.2)", "5.0", "3.4..>5.2"),
        (censored(None, 5.0, None, 0.1), "> 5.2 (5.0 to > 5.2)", "> 5.2", "5.0..>5.2"),
        (censored(None, 5.2, None, 0.0), "> 5.2", "> 5.2", ""),
        (censored(2.0, None, None, None), "2.0", "2.0", ""),
        (censored(0.996, 0.04, 1.04, 1.0), "1.0 (0.04 to 1.0)", "1.0", "0.04..1.0"),
        (censored(None, 5.2, None, None), "> 5.2", "> 5.2", ""),
    ],
)
def test_censored_figures_are_never_written_as_means(
    figure: dict[str, Any], long: str, short: str, span: str
) -> None:
    assert format_factor(figure) == long
    assert format_bounded(figure, write_factor) == short
    assert format_range(figure) == span


def test_models_and_points() -> None:
    needed = {"value": 5808.0, "low": 3900.0, "high": None, "reached": 0.8, "bound": 6000}
    assert format_needed(needed) == "5,808 (3,900 to > 6,000)"
    assert format_points({"value": 0.0033, "low": 0.001, "high": 0.005}) == "+0.33 (+0.10 to +0.50)"
    assert format_points({"value": -0.01, "low": None, "high": None}) == "-1.00"
    assert format_points({"value": None, "low": None, "high": None}) == "-"
    assert [format_p_value(p) for p in (None, 0.0001, 0.0234)] == ["-", "< .001", "0.023"]


def print_on(result: dict[str, Any], width: int = 80) -> str:
    stream = io.StringIO()
    print_comparison(result, open_console(stream, width))
    return stream.getvalue()


def test_terminal_table_fits_eighty_columns_and_says_what_it_means(make_comparison: MakeComparison) -> None:
    text = print_on(make_comparison())
    lines = [line for line in text.splitlines() if not line.startswith(("note", "folder"))]
    assert max(map(len, lines)) <= 80
    assert "…" not in text
    assert "pnas: best cell" in text
    assert "pnas: mean of the top 15" in text
    assert "_[b]$|odd" in text
    assert "95% intervals; worlds: 2, seeds: 3." in " ".join(text.split())
    assert "somewhere" in text


def test_a_table_that_tells_of_no_images_and_seconds_is_compared_by_models(
    make_comparison: MakeComparison,
) -> None:
    result = make_comparison(images=0)
    assert {row["speed_up_examples"]["paper"]["value"] for row in result["efficiency"]} == {None}
    row = next(line.split() for line in print_on(result).splitlines() if line.startswith(" random"))
    known = next(
        line.split() for line in print_on(make_comparison()).splitlines() if line.startswith(" random")
    )
    at = next(place for place, word in enumerate(row) if word == "-")
    assert row[:at] == known[: len(row[:at])]
    assert " nan" not in write_markdown(result)
    assert len(dict(render_pictures(result))) == len(dict(render_pictures(make_comparison())))


def test_narrow_last_level_and_single_runs_are_noted(make_comparison: MakeComparison) -> None:
    assert "the last level of pnas has 10 cells" in print_on(make_comparison())
    alone = print_on(make_comparison((0,), (0,)))
    assert "one seed in one world: no intervals" in alone
    assert "no intervals; worlds: 1, seeds: 1." in " ".join(alone.split())
    assert "one world: intervals are over seeds only" in print_on(make_comparison((0, 1), (0,)))


def test_markdown_has_every_table_and_its_rows_are_even(make_comparison: MakeComparison) -> None:
    result = make_comparison()
    text = write_markdown(result)
    headings = [line for line in text.splitlines() if line.startswith("### ")]
    assert len(headings) == 4 + 2 + 6
    for topic in list_topics(change_texts(result, escape_markdown)):
        assert {len(row) for row in topic.sheet.rows} == {len(topic.sheet.heads)}
        lines = make_table(topic.sheet.heads, topic.sheet.rows)
        assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
        assert "\n".join(lines) in text
    assert "| \\_\\[b\\]$\\|odd |" in text and "_[b]" not in text
    assert write_markdown(json.loads(json.dumps(result))) == text


def test_papers_figures_stand_beside_those_of_reinforcement_learning(make_comparison: MakeComparison) -> None:
    result = make_comparison()
    assert make_paper_table(result, "pnas").rows == []  # there is neither its predictor nor its rival
    result["searches"][0]["options"] = {"predictor": "mlp-ensemble"}
    result["searches"][1]["search"] = "ppo"
    (row,) = make_paper_table(result, "pnas").rows  # of the tops 1 and 15, the paper has the first
    assert row[:3] == ("random", "1", "5,808")
    assert (row[4], row[6]) == ("5.0", "8.2")
    assert "### The paper's figures beside those of pnas" in write_markdown(result)


def test_flattery_is_what_is_observed_above_the_noise_free_value(make_comparison: MakeComparison) -> None:
    result = make_comparison()
    rows = make_final_table(result).rows
    assert len(rows) == 3 * 2
    ends = {
        final["kind"]: final["end"]["value"]
        for final in result["searches"][0]["final"]
        if final["top"] == 1 and final["counting"] == "symmetrical"
    }
    assert rows[0][-1] == f"{100 * (ends['observed'] - ends['expected']):+.2f}"


def test_manifest_says_why_runs_ended_and_what_became_of_a_policy(make_comparison: MakeComparison) -> None:
    result = make_comparison()
    for number, run in enumerate(result["searches"][1]["runs"]):
        run |= {"policy_entropy": [20.0, 2.0 + number], "repeats": 20, "proposals": 80}
        run["stopped"] = "stalled" if number else "budget"
    row = make_manifest_table(result).rows[1]
    assert {"25%", "1 budget, 5 stalled", "20.0 to 4.5"} <= set(row)


def test_markdown_of_one_run_is_whole_too(make_comparison: MakeComparison) -> None:
    text = write_markdown(make_comparison((0,), (0,)))
    assert "### Regret" in text
    assert "the cell a search observed best, of any size, lies below the best" in text
    assert "### Paired rank tests" not in text  # there are none
    assert "nan" not in text


def test_table_escapes_bars() -> None:
    assert make_table(("a",), [("x | y",)]) == ["| a |", "|--|", "| x \\| y |"]


def test_pictures_are_drawn_the_same_twice_and_are_what_they_say(make_comparison: MakeComparison) -> None:
    result = make_comparison()
    result["tops"] = [15]  # fewer panels, for speed
    result["efficiency"] = [row for row in result["efficiency"] if row["top"] == 15]
    files = dict(render_pictures(result))
    names = ("curves-expected", "curves-observed", "curves-paper-counting", "speed-up")
    assert set(files) == {f"{n}.{f}" for n in names for f in ("png", "svg")}
    for name, content in files.items():
        if name.endswith(".png"):
            assert content.startswith(b"\x89PNG")
        else:
            assert ElementTree.fromstring(content).tag.endswith("svg")
            assert "_[b]$|odd" in content.decode()
    figures = [draw_speed_ups(result, "expected") for _ in range(2)]
    assert render(figures[0], "svg") == render(figures[1], "svg")


def test_pictures_of_one_run_have_no_band(make_comparison: MakeComparison) -> None:
    result = make_comparison((0,), (0,))
    result["tops"] = [1]
    result["efficiency"] = [row for row in result["efficiency"] if row["top"] == 1]
    for name, figure in draw_comparison(result):
        bands = [len(panel.collections) for panel in figure.axes]
        assert not any(bands), name


def test_missing_matplotlib_is_told(make_comparison: MakeComparison, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(SettingError, match=r"pnas-sim\[plot\]"):
        list(draw_comparison(make_comparison((0,), (0,))))


def test_progress_is_lines_where_there_is_no_terminal() -> None:
    stream, now = io.StringIO(), [0.0]
    with open_job_progress(stream, False, lambda: now[0]) as show:
        for done in range(5):
            show(Standing(done, 4, "random, world 0, seed 1" if done else ""))
            now[0] += 6
    lines = stream.getvalue().splitlines()
    assert lines[0] == "0/4 done"
    assert lines[1] == "2/4 done  random, world 0, seed 1  12 s left"
    assert lines[-1] == "4/4 done  random, world 0, seed 1"


def test_progress_may_be_quiet_or_a_bar() -> None:
    quiet = io.StringIO()
    with open_job_progress(quiet, True) as show:
        show(Standing(1, 2))
    assert quiet.getvalue() == ""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    with open_job_progress(terminal, False) as show:
        show(Standing(1, 2, "one"))
    assert "1/2 done" in terminal.getvalue()
    assert format_job_standing(Standing(2, 2, "one"), 3.0) == "2/2 done  one"
