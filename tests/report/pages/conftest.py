"""A headless Chromium, spoken to by the DevTools protocol through a pipe, and made-up results to show."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pytest

from pnas_sim.engine import Budget, run_search
from pnas_sim.function_evaluator import FunctionEvaluator
from pnas_sim.logged import read_log
from pnas_sim.predict.ridge import RidgePredictor, RidgeSettings
from pnas_sim.report.pages.run import RunFiles
from pnas_sim.report.pages.run_models import rank_models, replay_log
from pnas_sim.runlog import RunLog
from pnas_sim.search import Pnas
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
REQUIRED = "PNAS_REQUIRE_CHROMIUM"  # set to 1 where a missing browser is a failure, as in CI
PATIENCE = 90  # seconds for one answer; machines that build others' work at the same time are slow


class Browser:
    """One page in one headless browser."""

    def __init__(self, program: str, profile: Path) -> None:
        given, answers = os.pipe(), os.pipe()
        words = [
            *(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--remote-debugging-pipe", f"--user-data-dir={profile}", "--disable-dev-shm-usage"),
            *("--no-first-run", "--disable-background-networking", "about:blank"),
        ]
        # the protocol is spoken on descriptors 3 (to the browser) and 4 (from it)
        shell = f'exec "$@" 3<&{given[0]} 4>&{answers[1]}'
        self._process = subprocess.Popen(
            ["bash", "-c", shell, "bash", *words],
            pass_fds=(given[0], answers[1]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(given[0])
        os.close(answers[1])
        self._out, self._in = given[1], answers[0]
        self._rest, self._number, self._session = b"", 0, ""
        self.events: deque[dict[str, Any]] = deque()
        targets = self.send("Target.getTargets")["targetInfos"]
        page = next(one["targetId"] for one in targets if one["type"] == "page")
        self._session = self.send("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Calls a method and waits for its answer; keeps events that come before it."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self.events.append(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            chunk = os.read(self._in, 1 << 20)
            assert chunk, "the browser ended"
            self._rest += chunk
        text, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(text))

    def open(self, path: Path, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        """Loads a file into a window of this size, and forgets earlier events."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.send("Emulation.setDeviceMetricsOverride", **size)
        self.events.clear()
        self.send("Page.navigate", url=path.absolute().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive())

    def ask(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def list_complaints(self) -> list[str]:
        """What the page wrote to the console, logged or threw since it was opened."""
        self.ask("1")  # whatever was on its way is here now
        kinds = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [json.dumps(event["params"]) for event in self.events if event.get("method") in kinds]

    def list_requests(self) -> list[str]:
        """Addresses asked for since the page was opened, itself among them; not those inside it."""
        self.ask("1")
        sent = [event for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        addresses = [str(event["params"]["request"]["url"]) for event in sent]
        return [address for address in addresses if not address.startswith("data:")]

    def close(self) -> None:
        """Ends the browser."""
        os.close(self._out)
        os.close(self._in)
        self._process.terminate()
        self._process.wait(PATIENCE)

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless browser; where there is none, tests are skipped, or fail if the environment demands one."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        reason = f"no Chromium here (looked for {', '.join(NAMES)})"
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{reason}, and {REQUIRED} is 1")
        pytest.skip(reason)
    with Browser(program, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


HOSTILE = """<script>document.title='taken'</script><img src=x onerror=alert(1)>"'&amp;</style></title>"""
SPACE = CellSpace(operations=("sep3", "id", "max3", "conv1x7"), max_blocks=3)


def judge(rows: Rows) -> Floats:
    """Accuracies in [0.4, 0.9] that rise with sep3 and fall with id, with a little of each row's own."""
    operations = rows.reshape(len(rows), -1, 4)[:, :, 2:]
    liked = (operations == 0).sum(axis=(1, 2)) - (operations == 1).sum(axis=(1, 2))
    return np.clip(0.6 + 0.03 * liked + 0.01 * np.sin(rows.sum(axis=1)), 0.4, 0.9)


@pytest.fixture(scope="session")
def made_up_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a small PNAS run with a ridge predictor: 36 + 8 + 8 cells; not to be changed."""
    path = tmp_path_factory.mktemp("run") / "evaluations.sqlite"
    strategy = Pnas(SPACE, RidgePredictor(SPACE, RidgeSettings()), beam=8)
    with RunLog(path) as log:
        run_search(strategy, FunctionEvaluator(judge, SPACE, seconds=2.0), budget=Budget(models=99), log=log)
    return path


@pytest.fixture
def make_files(made_up_log: Path) -> Callable[..., RunFiles]:
    """Makes what a run's folder holds: finished or not, with names that are given."""

    def make(finished: bool = True, log: bool = True, name: str = "pnas", **more: Any) -> RunFiles:
        replayed = replay_log(read_log(made_up_log), SPACE.operations, None)
        record = {"kind": "run", "schema": 1, "settings": {"search": name, "backend": name, "seed": 3}}
        found = replayed.sum_up()
        best = replayed.models[int(rank_models(replayed.models)[0])]
        result = {
            "search": name,
            "backend": name,
            "seed": 3,
            "source": "predicted",
            "stopped": "finished",
            "space": {"operations": list(SPACE.operations), "max_blocks": 3},
            "seconds": 1.5,
            **{key: getattr(found, key) for key in ("models_evaluated", "proposals", "repeats", "failed")},
            "examples": 52.0,
            "child_seconds": found.child_seconds,
            "levels": [asdict(level) for level in found.levels],
            "best": asdict(best),
            "diagnostics": {"every": 2, "policy_entropy": [3.0, None, 2.0], "repeat_rate": []},
            **more,
        }
        return RunFiles(
            folder=f"runs/{name}",
            record=record,
            settings_text=f'search = "{name}"\n',
            result=result if finished else None,
            replayed=replayed if log else None,
        )

    return make


@pytest.fixture
def make_study() -> Callable[..., dict[str, Any]]:
    """Makes the result object of a predictor study."""

    def make(name: str = "gbt") -> dict[str, Any]:
        rows = [
            _make_row(source, predictor, blocks, place)
            for source in ("trained", "surrogate")
            for predictor in ("mlp", name)
            for place in ("fitted", "next")
            for blocks in (1, 2, 0)
        ]
        ceiling = {"source": "surrogate", "blocks": 2, "cells": 10_000, "noise": 0.007, "deviation": 0.02}
        ceiling["noise_of_all_sizes"] = False
        ceiling |= {"spearman": 0.9, "kendall_tau": 0.7, "top5_precision": None}
        search = {"predictor": name, "circular": True, "blocks": 2, "pool": 31_620, "beam": 256}
        search |= {"rank_correlation": 0.1, "rank_correlation_noise_free": None}
        search |= {"recall": 0.2, "recall_noise_free": 0.3, "by_chance": 0.008}
        about = {"name": name, "family": name, "description": name, "shares_surrogate_family": True}
        return {
            "kind": "predictors",
            "schema": 1,
            "trials": 2,
            "seed": 0,
            "resamples": 20,
            "table": {"name": name, "checksum": "abc"},
            "backend_options": {"table": name},
            "command_options": {"predictors": name, "trials": "2", "search-seeds": "0"},
            "versions": {"python": "3"},
            "left_out": {"trained": 2},
            "out": name,
            "rows": rows,
            "ceilings": [ceiling],
            "searches": [search],
            "predictors": [about],
        }

    return make


def _make_row(source: str, predictor: str, blocks: int, place: str) -> dict[str, Any]:
    value = 0.4 if predictor == "mlp" else 0.5
    figures = ("spearman_pooled", "spearman", "kendall_tau", "top5_precision", "difference")
    row = {
        "source": source,
        "predictor": predictor,
        "fitted": 20,
        "fitted_cells": 20,
        "fitted_sets": 2,
        "blocks": blocks,
        "place": place,
        "truth": "noisy",
        "cells": 100,
        "trials": 2,
        "deviation": 0.1,
        "seconds": 0.2,
        "paper": 0.113 if predictor == "mlp" else None,
        "circular": predictor != "mlp",
    }
    for figure in figures:
        row |= {figure: value, f"{figure}_low": value - 0.1, f"{figure}_high": value + 0.1}
    return row if blocks else row | {"spearman_pooled": None}


VERIFIED = CellSpace(max_blocks=1).format_many(CellSpace(max_blocks=1).initial()[:6])
ESTIMATE = {"value": 0.5, "low": 0.1, "high": 0.9}


@pytest.fixture
def make_verification() -> Callable[..., dict[str, Any]]:
    """Makes the result object of a verification: six cells, three of them a search's; one failed."""

    def make(name: str = "pnas", **changed: Any) -> dict[str, Any]:
        known = {"cells": 6, "kendall_tau": ESTIMATE, "spearman": ESTIMATE, "bias": ESTIMATE, "rmse": 0.02}
        few = {"cells": 3, "kendall_tau": None, "spearman": None, "rmse": 0.01}
        few |= {"bias": ESTIMATE | {"low": None}}
        parts = {"all": known, "top": few, "spread": few, name: few, "empty": None}
        return {
            "kind": "verification",
            "schema": 1,
            "folders": [name],
            "table": name,
            "table_checksum": "abc",
            "surrogate": "gp",
            "out": "here",
            "recipe": {"epochs": 1, "data": name},
            "same_recipe": True,
            "epochs": 1.0,
            "seeds": [0, 1],
            "confidence": 0.95,
            "resamples": 50,
            "all_untrained_before": False,
            "left_out_as_trained": 2,
            "cells": [_make_verified(place, name) for place in range(6)],
            "agreement": {"predicted": parts, "expected": {"all": None}, "observed": parts},
            "regret": {name: ESTIMATE, "other": None},
            "winners": {name: VERIFIED[0]},
            "seed_deviation": 0.005,
            "verdict": "the surrogate orders cells as training does",
            "believed": "order only",
            "notes": [name],
            **changed,
        }

    return make


def _make_verified(place: int, name: str) -> dict[str, Any]:
    trained = 0.69 - 0.01 * place if place else None
    return {
        "cell": VERIFIED[place],
        "group": name if place < 3 else "spread",
        "rank": place % 3 + 1,
        "blocks": 1,
        "world": 0,
        "run": "w0-s0",
        "trained_before": place == 5,
        "observed": 0.71 - 0.01 * place,
        "expected": None,
        "predicted": 0.70 - 0.01 * place,
        "trained": trained,
        "deviation": 0.001,
        "by_seed": [trained, None],
    }
