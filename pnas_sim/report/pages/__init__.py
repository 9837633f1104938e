"""The HTML page of `pnas-sim report`: one file, with everything in it.

To add a kind of result: 1. write `pages/<kind>.py` with a function from the result object to a `Report` (a
title, notes, sections of parts); 2. name it in `pnas_sim.cli.reporting`. To add a kind of part (a table, a
chart): 1. a frozen dataclass in `parts.py` that names its template; 2. that template in
`pnas_sim/report/templates/`.

Templates escape all that they are given; only `charts.py` and `pnas_sim.report.picture` make markup, and
escape what they write themselves.
"""
