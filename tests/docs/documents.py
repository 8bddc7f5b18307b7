# SPDX-License-Identifier: MIT
"""What the documents say, read in their source."""
import os
import re
import shlex

import yaml

from program import REPOSITORY, SIDECAR, help_tables

MANUAL = SIDECAR / "postern.8"
CONF_MANUAL = SIDECAR / "postern.conf.5"
EXAMPLE = SIDECAR / "postern.conf"
README = REPOSITORY / "README.md"
SECURITY = REPOSITORY / "SECURITY.md"
CONTRIBUTING = REPOSITORY / "CONTRIBUTING.md"
CHANGELOG = REPOSITORY / "CHANGELOG.md"
MARKDOWN = sorted([*REPOSITORY.glob("*.md"), *(
    page for folder in ("container", "helm", "tests") for page in (REPOSITORY / folder).rglob("*.md"))])


def section(page, title):
    found = re.search(rf"^\.Sh {re.escape(title)}\n(.*?)(?=^\.Sh |\Z)", page.read_text(),
                      re.S | re.M)
    assert found, f"{page.name} has no section {title}"
    return found[1]


def items(text, macro):
    """[(first word, text up to the next item of the kind)] of a list in a manual."""
    parts = re.split(rf"^\.It {macro} ", text, flags=re.M)[1:]
    return [(re.match(r"[\w-]+", part)[0], part) for part in parts]


def listed(title):
    """{name: its text} of the list in a section of postern(8)."""
    parts = re.split(r"^\.It Li ", section(MANUAL, title), flags=re.M)[1:]
    return {part.split("\n", 1)[0]: part.split("\n", 1)[1] for part in parts}


def rows(page, heading):
    """The first table after a heading of a Markdown page: [[cell]]."""
    text = page.read_text().partition(f"\n{heading}\n")[2]
    assert text, heading
    table = re.search(r"^\|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.M)[1]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def described_keys():
    return items(CONF_MANUAL.read_text(), "Ic")


def fenced(path, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.S | re.M)


def shown_defaults():
    """The README's configuration that says of itself that it holds the defaults."""
    after = README.read_text().partition("\n## Configuration\n")[2]
    return re.search(r"^```conf\n(.*?)^```$", after, re.S | re.M)[1]


def literal_displays(text):
    return re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed$", text, re.S | re.M)


def yaml_documents():
    return [yaml.safe_load(text) for text in fenced(README, "yaml")]


def config_maps():
    return [document["data"]["postern.conf"] for document in yaml_documents()
            if document.get("kind") == "ConfigMap"]


def pods():
    return [document["spec"] for document in yaml_documents() if "spec" in document]


def containers():
    """Every container that the README shows, Docker's services too."""
    found = [container for pod in pods()
             for container in [*pod.get("initContainers", []), *pod["containers"]]]
    for document in yaml_documents():
        found += document.get("services", {}).values()
    return found


def command_lines():
    """[(where, words from "postern" on)] of every call of postern that a document shows."""
    found = []
    for container in containers():
        # The image's own entry point is postern.
        ours = re.search(r"/postern:", container["image"]) and "command" not in container
        given = [[*(["postern"] if ours else []), *container.get("entrypoint", []),
                  *container.get("command", []), *container.get("args", [])]]
        given += [container[probe]["exec"]["command"]
                  for probe in ("readinessProbe", "livenessProbe") if probe in container]
        found += [("README yaml", words) for words in given if words]
    for language in ("sh", "console"):
        for line in "".join(fenced(README, language)).replace("\\\n", "").splitlines():
            found.append((f"README {language}", shlex.split(line.removeprefix("$ "), comments=True)
                          if language == "sh" or line.startswith("$ ") else []))
    example = section(MANUAL, "EXAMPLES").replace("\\-", "-").replace("\\e\n", "")
    for line in example.splitlines():
        line = line.removeprefix(".Dl ")
        if "postern" in line and not line.startswith("."):
            found.append(("postern.8", shlex.split(line.partition("|")[0])))
    calls, commands = [], set(help_tables()[0])
    for where, words in found:
        named = [n for n, word in enumerate(words) if os.path.basename(word) == "postern"]
        # A container or a folder may have the name, too: the last one with a command after it.
        at = [n for n in named if commands & set(words[n + 1:])] or named
        if at and words[0] not in ("cp", "cmake", "helm") and words[:2] not in (["docker", "cp"],
                                                                       ["kubectl", "cp"]):
            calls.append((where, words[at[-1]:]))
    return calls


def configurations():
    """Every configuration that a document shows: [(where, text)]."""
    shown = [(f"README block {n}", text) for n, text in enumerate(fenced(README, "conf"), 1)]
    shown += [(f"README ConfigMap {n}", text) for n, text in enumerate(config_maps(), 1)]
    shown += [(f"postern.conf.5 example {n}", text)
              for n, text in enumerate(literal_displays(section(CONF_MANUAL, "EXAMPLES")), 1)]
    return [*shown, ("postern.conf", EXAMPLE.read_text())]


def sentence(text):
    """Manual source as running text, its macros taken off."""
    return re.sub(r"\s+", " ", re.sub(r"^\.[A-Z][a-z]? ", "", text, flags=re.M))


def diagnostics():
    """[(line of the page, its fixed parts)]: what stands for something else splits it."""
    found = []
    for line in re.findall(r"^\.It (.*)$", section(MANUAL, "DIAGNOSTICS"), re.M):
        text = re.sub(r"(?:\\&)?\.\.\.", "\0", line)
        text = re.sub(r"\b(?:Ns )?Ar \w+", "\0", text)
        text = re.sub(r" (?:: )?(?:No|Ns) ", lambda m: ": " if ":" in m[0] else " ", text)
        text = text.replace("\\(dq", '\\"')
        parts = [part.strip(" :;") for part in text.split("\0")]
        found.append((line, [part for part in parts if len(part) > 3]))
    return found


def anchors(path):
    """Where a link can lead inside a page, by the rule of the usual repository hosts."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.S | re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", text, re.M)}
