# SPDX-License-Identifier: MIT
"""Figures of a benchmark, and tables of them on standard output.

Times come in seconds and are printed in milliseconds.  A figure is the median; a ratio is the
median of the pairs' own ratios, so that what slows the whole machine for a while is in neither.
"""
import os
import statistics


def ms(seconds):
    return f"{seconds * 1000:10.2f}"


def quartiles(values):
    if len(values) < 2:
        return values * 3
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return [low, middle, high]


def table(head, rows):
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        print("  " + "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                               for i, (cell, width) in enumerate(zip(row, widths))))
    print()


SPREAD_HEAD = ["", "least", "quarter", "median", "three", "most", "ratio", "of the ratios"]


def spread(label, values, base):
    """A row below SPREAD_HEAD; the ratio is how many times longer than the base's, pair by pair."""
    low, middle, high = quartiles(values)
    row = [label, *(f"{value * 1000:.1f}" for value in (min(values), low, middle, high,
                                                        max(values)))]
    ratios = [a / b for a, b in zip(values, base)]
    return row + [f"{statistics.median(ratios):.2f} x", f"{min(ratios):.2f}-{max(ratios):.2f}"]


def machine():
    model = "?"
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return f"{os.cpu_count()} x {model}, Linux {os.uname().release}, load {load}"
