# SPDX-License-Identifier: MIT
"""Telling a reader at a terminal, step by step, and the table at the end."""
import os
import sys

BOLD, GREEN, RED, YELLOW, DIM = "1", "32", "31", "33", "2"


def wants_colour(stream):
    return (stream.isatty() and not os.environ.get("NO_COLOR")
            and os.environ.get("TERM", "dumb") != "dumb")


class Telling:
    """Steps, sentences and quotations; rows are kept for the table."""

    def __init__(self, stream=None):
        self._stream = stream or sys.stdout
        self._coloured = wants_colour(self._stream)
        self._n_steps = 0
        self._rows = []

    def _paint(self, text, colour):
        return f"\033[{colour}m{text}\033[0m" if self._coloured else text

    def _print(self, text=""):
        print(text, file=self._stream, flush=True)

    def step(self, title):
        self._n_steps += 1
        self._print("\n" + self._paint(f"{self._n_steps}. {title}", BOLD))

    def say(self, sentence):
        self._print("  " + sentence)

    def quote(self, text, stress=None):
        """What a program wrote, word for word; stress is the part to look at."""
        for line in text.rstrip("\n").split("\n"):
            if stress:
                line = line.replace(stress, self._paint(stress, YELLOW))
            self._print("    " + self._paint("|", DIM) + (" " + line if line else ""))

    def row(self, check, before, after, good):
        self._rows.append((check, before, after, bool(good)))

    def table(self):
        """Print the rows; true when all are as they should be."""
        heads = ("check", "before", "after")
        widths = [max(len(cells[i]) for cells in (heads, *self._rows)) for i in range(3)]

        def line(cells):
            return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths))

        self._print("\n" + self._paint(line(heads) + "  result", BOLD))
        for *cells, good in self._rows:
            self._print(line(cells) + "  "
                        + (self._paint("ok", GREEN) if good else self._paint("NOT OK", RED)))
        n_bad = sum(not good for *_, good in self._rows)
        self._print(f"\n{len(self._rows) - n_bad} of {len(self._rows)} as they should be")
        return n_bad == 0 and bool(self._rows)
