from __future__ import annotations

import click
import pytest

from pnas_sim.cli.lists import MOST_COUNTED, read_members, read_numbers, split_list


def test_parts_are_stripped_and_empty_ones_left_out() -> None:
    assert split_list(" pnas , ,random,") == ["pnas", "random"]


def test_numbers_keep_their_order_and_repeats() -> None:
    assert read_numbers("top", "25, 1,5,1,-2") == [25, 1, 5, 1, -2]


def test_a_number_alone_is_how_many_and_with_a_comma_itself() -> None:
    assert read_members("seeds", "3") == [0, 1, 2]
    assert read_members("seeds", "3,") == [3]
    assert read_members("seeds", "0", least=0) == []
    assert len(read_members("seeds", str(MOST_COUNTED))) == MOST_COUNTED


@pytest.mark.parametrize("text", ["", ",", "x", "1.5", "3,x", "--3"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError, match=f"--seeds is '{text}'; give a number"):
        read_members("seeds", text)


@pytest.mark.parametrize("text", ["0", "-1", str(MOST_COUNTED + 1)])
def test_how_many_has_limits(text: str) -> None:
    with pytest.raises(click.UsageError, match=f"--seeds is '{text}'; .* from 1 to {MOST_COUNTED}"):
        read_members("seeds", text)
