# SPDX-License-Identifier: MIT
"""A strict reader of the Prometheus text format 0.0.4 (its "exposition formats" page).

Stricter than Prometheus itself: every sample belongs to a family that was described before, by
one HELP and one TYPE line, and all samples of a family stand together.
"""
import math
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{((?:{LABEL},?)*)\}})? (\S+)(?: -?\d+)?")
TYPES = ("counter", "gauge", "histogram", "summary", "untyped")
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}


class Malformed(AssertionError):
    """The text is not what a Prometheus server may be given."""


class Family:
    def __init__(self, name, help_text):
        self.name = name
        self.help = help_text
        self.type = None
        self.samples = {}  # {(name, ((label, value), …)): number}

    def takes(self, name):
        return name in [self.name + suffix for suffix in SUFFIXES.get(self.type, ("",))]

    def value(self, **labels):
        """The sample with these labels, of a counter or gauge."""
        return self.samples[(self.name, tuple(sorted(labels.items())))]


def parse(text):
    """{name: Family}."""
    if text and not text.endswith("\n"):
        raise Malformed("the last line has no end")
    families, current = {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = _begin(line, families)
        elif line.startswith("# TYPE "):
            _type(line, current)
        elif line.startswith("#") or not line:
            raise Malformed(f"neither HELP, TYPE nor a sample: {line!r}")
        else:
            _sample(line, current)
    for family in families.values():
        _check(family)
    return families


def _begin(line, families):
    name, _, help_text = line[len("# HELP "):].partition(" ")
    if not re.fullmatch(NAME, name) or not help_text.strip():
        raise Malformed(line)
    if re.search(r"\\(?![\\n])", help_text):
        raise Malformed(f"a bare backslash: {line}")
    if name in families:
        raise Malformed(f"{name} is described twice")
    families[name] = Family(name, help_text)
    return families[name]


def _type(line, family):
    words = line.split(" ")
    if family is None or len(words) != 4 or words[2] != family.name or family.type is not None:
        raise Malformed(f"TYPE does not follow its HELP: {line}")
    if words[3] not in TYPES:
        raise Malformed(line)
    family.type = words[3]


def _sample(line, family):
    match = SAMPLE.fullmatch(line)
    if not match:
        raise Malformed(f"no sample: {line!r}")
    name, labels = match.group(1), match.group(2) or ""
    if family is None or family.type is None or not family.takes(name):
        raise Malformed(f"{name} is not of the family described before it")
    pairs = re.findall(LABEL, labels)
    if len({label for label, _ in pairs}) != len(pairs):
        raise Malformed(f"a label twice: {line}")
    key = (name, tuple(sorted((label, _unescape(value)) for label, value in pairs)))
    if key in family.samples:
        raise Malformed(f"twice: {line}")
    family.samples[key] = _number(match.group(5))


def _unescape(value):
    return re.sub(r"\\(.)", lambda m: "\n" if m.group(1) == "n" else m.group(1), value)


def _number(word):
    if not re.fullmatch(r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+|Inf)|NaN", word):
        raise Malformed(f"no number: {word!r}")
    return float(word)


def _check(family):
    if family.type is None:
        raise Malformed(f"{family.name} has no TYPE")
    if not family.samples and family.type != "gauge":
        raise Malformed(f"{family.name} has no sample")
    for value in family.samples.values():
        if family.type in ("counter", "histogram") and not 0 <= value < math.inf:
            raise Malformed(f"{family.name} = {value}")
    if family.type == "counter" and not family.name.endswith("_total"):
        raise Malformed(f"{family.name} is a counter and not called _total")
    if family.type == "histogram":
        _check_histogram(family)


def _check_histogram(family):
    """For one without labels of its own, as ours are."""
    buckets = [(_number(dict(labels)["le"]), value)
               for (name, labels), value in family.samples.items() if name.endswith("_bucket")]
    if [bound for bound, _ in buckets] != sorted({bound for bound, _ in buckets}) or \
            buckets[-1][0] != math.inf:
        raise Malformed(f"{family.name}: bounds {buckets}")
    if [count for _, count in buckets] != sorted(count for _, count in buckets):
        raise Malformed(f"{family.name}: buckets are not cumulative: {buckets}")
    if family.samples[(family.name + "_count", ())] != buckets[-1][1]:
        raise Malformed(f"{family.name}: _count is not the last bucket")
    if (family.name + "_sum", ()) not in family.samples:
        raise Malformed(f"{family.name} has no _sum")
