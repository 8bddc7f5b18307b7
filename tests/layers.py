#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The layer check: who may include whom.

- patchers/ never includes sidecar/; patchers/base/ includes nothing above itself.
- Within patchers/ and within sidecar/ no module includes itself by a detour.
- Each foreign library is included through its one door (DOORS).

Usage: layers.py [ROOT].  Prints every breach; exit status 1 when there is one.
"""
import fnmatch
import os
import pathlib
import re
import sys

# Header (or pattern) -> the files, as patterns, that may include it.
DOORS = {
    "confuse.h": ["sidecar/settings*.c"],
    "cap-ng.h": ["sidecar/privileges.c"],
    "jansson.h": ["sidecar/view_json.h"],
    "event2/*": ["sidecar/probe.c", "sidecar/watcher.c", "sidecar/endpoint.c",
                 "sidecar/master_watch.c", "sidecar/mail_container.c",
                 "sidecar/worker_watch.c", "sidecar/watched_folders.c",
                 "sidecar/rehearsal.c", "sidecar/resolver.c",
                 "sidecar/gate_watch.c", "sidecar/timer.h",
                 "sidecar/spare_memory.c",
                 "tests/fuzz/*.c", "tests/sidecar/test_endpoint.c",
                 "tests/sidecar/event_memory.c", "tests/sidecar/test_spare_memory.c"],
    "seccomp.h": ["sidecar/confinement.c"],
    "sha*.h": ["sidecar/digest.c"],
    "inotifytools/*": ["sidecar/folder_watch.c"],
    "sys/inotify.h": ["sidecar/folder_watch.c"],
    "cmocka.h": ["tests/*"],
}
CODE = ("patchers", "sidecar", "tests")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def sources(root):
    for folder in CODE:
        for path in sorted((root / folder).rglob("*.[ch]")):
            yield path.relative_to(root)


def resolve(root, source, name):
    """The project file that an include of `source` means, or None for a foreign one."""
    for base in (root / source.parent, root):
        candidate = pathlib.Path(os.path.normpath(base / name))
        if candidate.is_file() and root in candidate.parents:
            return candidate.relative_to(root)
    return None


def read_includes(root):
    """{file: [(line, name, project file or None)]}"""
    graph = {}
    for source in sources(root):
        text = (root / source).read_text(encoding="utf-8", errors="replace")
        graph[source] = [(text.count("\n", 0, m.start()) + 1, m[2], resolve(root, source, m[2]))
                         for m in INCLUDE.finditer(text)]
    return graph


def wrong_direction(graph):
    forbidden = (("patchers/", "sidecar/"), ("patchers/", "tests/"), ("sidecar/", "tests/"))
    for source, includes in graph.items():
        for line, _, target in includes:
            if target is None:
                continue
            for above, below in forbidden:
                if str(source).startswith(above) and str(target).startswith(below):
                    yield f"{source}:{line}: {above} must not include {target}"
            if str(source).startswith("patchers/base/") and \
                    not str(target).startswith("patchers/base/"):
                yield f"{source}:{line}: patchers/base/ must not include {target}"


def wrong_door(graph):
    for source, includes in graph.items():
        for line, name, target in includes:
            if target is not None:
                continue
            for header, doors in DOORS.items():
                if fnmatch.fnmatch(name, header) and \
                        not any(fnmatch.fnmatch(str(source), door) for door in doors):
                    yield f"{source}:{line}: <{name}> belongs behind {' '.join(doors)}"


def cycles(graph, folder):
    """Module = a .c and its .h together.  Each cycle is named once."""
    edges = {}
    for source, includes in graph.items():
        if source.parts[0] != folder:
            continue
        module = source.with_suffix("")
        targets = {t.with_suffix("") for _, _, t in includes if t and t.parts[0] == folder}
        edges.setdefault(module, set()).update(targets - {module})
    done, path = set(), []

    def visit(module):
        if module in path:
            yield " -> ".join(map(str, path[path.index(module):] + [module]))
            return
        if module in done:
            return
        path.append(module)
        for target in sorted(edges.get(module, ())):
            yield from visit(target)
        path.pop()
        done.add(module)

    for module in sorted(edges):
        for cycle in visit(module):
            yield f"{folder}: includes in a circle: {cycle}"


def main():
    root = pathlib.Path(os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "."))
    graph = read_includes(root)
    if not any(source.parts[0] == "patchers" for source in graph):
        sys.exit(f"{root}: no patchers/ here")
    breaches = [*wrong_direction(graph), *wrong_door(graph),
                *cycles(graph, "patchers"), *cycles(graph, "sidecar")]
    for breach in breaches:
        print(breach)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
