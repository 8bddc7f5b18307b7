# SPDX-License-Identifier: MIT
"""The documentation says what the program does: commands, options, keys, variables, statuses,
metrics, fields of the status, privileges.

What the program knows is asked from the program (`postern help`, a running `postern run`) or read
in its tables; what the documents say is read in their source.
"""
import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest
import yaml

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
POSTERN = os.environ.get("POSTERN", str(REPOSITORY / "build" / "release" / "postern"))
SIDECAR = REPOSITORY / "sidecar"
MANUAL = SIDECAR / "postern.8"
CONF_MANUAL = SIDECAR / "postern.conf.5"
EXAMPLE = SIDECAR / "postern.conf"
README = REPOSITORY / "README.md"
SECURITY = REPOSITORY / "SECURITY.md"
CONTRIBUTING = REPOSITORY / "CONTRIBUTING.md"
MARKDOWN = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "tests").rglob("*.md")])
# What mandoc says of the machine that it runs on, not of the page.
NOT_OF_THE_PAGE = re.compile(r"referenced manual not found|outdated mandoc\.db")

MASTER_CF = """\
smtp       inet n - n - 1 postscreen
smtpd      pass - - n - - smtpd
submission inet n - n - - smtpd
submissions inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
"""
DOVECOT_CONF = "protocols = imap pop3 sieve\n!include conf.d/*.conf\n"


# -- what the program knows

def run(*arguments, networks=None):
    env = {"PATH": os.environ["PATH"]}
    if networks:
        env["POSTERN_TRUSTED_NETWORKS"] = networks
    return subprocess.run([POSTERN, *map(str, arguments)], env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30,
                          check=False)


def help_tables():
    """({command: [option]}, [global option]) as `postern help` prints them."""
    done = run("help")
    assert done.returncode == 0, done
    commands, options, name = {}, [], None
    before, _, after = done.stdout.partition("options before the command:")
    for line in before.partition("commands:")[2].splitlines():
        if command := re.match(r"  (\w[\w-]*) ", line):
            name = command[1]
            commands[name] = []
        elif option := re.match(r"      --([\w-]+)", line):
            commands[name].append(option[1])
    options = re.findall(r"^  --([\w-]+)", after, re.M)
    return commands, options


def settings_source():
    return "\n".join(path.read_text() for path in sorted(SIDECAR.glob("settings*.[ch]")))


def key_tables():
    """{table: [(kind, key, default as it stands in the source)]} of the settings."""
    tables = {}
    for name, body in re.findall(r"cfg_opt_t (\w+)\[\] = \{(.*?)\n\};", settings_source(), re.S):
        tables[name] = re.findall(r'CFG_(\w+)\(\s*"([^"]+)",\s*([^,)]+)', body)
    return tables


def all_keys():
    return {key for rows in key_tables().values() for _, key, _ in rows}


def constant(name):
    """The number of an enumerator in the settings' source."""
    return re.search(rf"\b{name} = (\d+)", settings_source())[1]


def default_text(kind, default):
    """A default as a manual would print it; None when there is none to print."""
    if kind == "BOOL":
        return default.removeprefix("cfg_")
    if kind == "STR":
        return default.strip('"') or "empty"
    if kind == "INT":
        return default if default.isdigit() else constant(default)
    return None


def environment_variables():
    """Whatever is given to getenv(3), macros resolved."""
    text = "\n".join(path.read_text() for path in sorted(SIDECAR.glob("*.[ch]")))
    names = set()
    for argument in re.findall(r"\bgetenv\(([^)]+)\)", text):
        if not argument.startswith('"'):
            argument = re.search(rf"#define {argument}\s+(\"\w+\")", text)[1]
        names.add(argument.strip('"'))
    return names


def exit_statuses():
    """Those of all commands, then those of `run` alone."""
    found = []
    for file, first in (("command.h", "EXIT_DONE"), ("spawn.h", "SPAWN_FAILED")):
        body = re.search(rf"enum \{{([^}}]*{first}[^}}]*)\}}", (SIDECAR / file).read_text())[1]
        found += re.findall(r"= (\d+)", body)
    return found


def privileges():
    """{name: {way: it is indispensable}} of the table in privileges.c."""
    text = (SIDECAR / "privileges.c").read_text()
    every = re.search(r"#define EVERY_WAY \((.*)\)", text)[1]
    found = {}
    for name, ways, needed in re.findall(
            r"\{ PRIVILEGE_(\w+), ((?:\w+(?: \| )?)+), (true|false),", text):
        for way in re.findall(r"PRIVILEGES_(\w+)", ways.replace("EVERY_WAY", every)):
            found.setdefault(name, {})[way.lower()] = needed == "true"
    return found


# -- what a running postern says

class Running:
    """`postern run` beside a command that sleeps, for a root in which no server runs."""

    def __init__(self, root, config):
        # The name of a socket may not be long, and a test's own folder is.
        self._folder = tempfile.mkdtemp(prefix="postern-docs-")
        self.socket = os.path.join(self._folder, "s")
        self._process = subprocess.Popen(
            [POSTERN, "--config", config, "--root", root, "--socket", self.socket,
             "run", "--grace", "1", "--", "sleep", "600"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def get(self, path):
        """The body of an HTTP answer over the socket; None while nobody answers."""
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError), \
                socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(self.socket)
            sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            answer = b"".join(iter(lambda: sock.recv(65536), b""))
            return answer.partition(b"\r\n\r\n")[2].decode()
        return None

    def status_when(self, condition):
        for _ in range(1000):
            text = self.get("/status")
            if text and condition(json.loads(text)):
                return json.loads(text)
            time.sleep(0.02)
        raise AssertionError(f"waited for a status: {text}")

    def stop(self):
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=20)
        shutil.rmtree(self._folder)


def paths(value, name=""):
    """Every field of a JSON object, as the manual names it: last_failure.at, twins[].port."""
    found = set()
    for key, inner in value.items():
        path = f"{name}.{key}" if name else key
        found.add(path)
        if path == "servers":
            assert set(inner) == {"postfix", "dovecot"}
            path, inner = "servers[]", inner["postfix"]
        elif isinstance(inner, list) and inner and isinstance(inner[0], dict):
            path, inner = path + "[]", inner[0]
        if isinstance(inner, dict):
            found |= paths(inner, path)
    return found


# -- what the documents say

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
        given = [[*container.get("entrypoint", []), *container.get("command", []),
                  *container.get("args", [])]]
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
    calls = []
    for where, words in found:
        at = [n for n, word in enumerate(words) if os.path.basename(word) == "postern"]
        if at and words[0] not in ("cp", "cmake") and words[:2] not in (["docker", "cp"],
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


# -- a mail host to look at

@pytest.fixture
def root(tmp_path):
    """A root folder with the configuration of a host that has every service; nothing runs."""
    for name, text in (("etc/postfix/master.cf", MASTER_CF), ("etc/postfix/main.cf", ""),
                       ("etc/dovecot/dovecot.conf", DOVECOT_CONF),
                       ("etc/dovecot/conf.d/10-ssl.conf", "ssl = yes\n")):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "root/run").mkdir()
    return tmp_path / "root"


def check(root, text, *options):
    path = root.parent / "given.conf"
    path.write_text(text)
    return run("--config", path, "--root", root, "check", *options)


@pytest.fixture
def running(root, tmp_path):
    """A postern that keeps running, and knows a failure and a remark."""
    config = tmp_path / "running.conf"
    config.write_text("trusted-networks = { 192.0.2.1/24 }\n")  # bits beyond its prefix: a remark
    daemon = Running(root, config)
    try:
        daemon.status_when(lambda status: status["outcome"] == "waiting")
        config.write_text(config.read_text() + "no-such-key = 1\n")
        daemon.status_when(lambda status: status["last_failure"])
        config.write_text("trusted-networks = { 192.0.2.1/24 }\n")
        yield daemon
    finally:
        daemon.stop()


# -- commands, options, variables, statuses

def test_every_command_is_in_the_manual_and_no_other():
    commands, _ = help_tables()
    assert commands
    assert [name for name, _ in items(section(MANUAL, "COMMANDS"), "Cm")] == list(commands)


@pytest.mark.parametrize("command", list(help_tables()[0]))
def test_every_option_of_a_command_is_in_the_manual_and_no_other(command):
    text = dict(items(section(MANUAL, "COMMANDS"), "Cm"))[command]
    described = {name.lstrip("-") for name, _ in items(text, "Fl")}
    assert described == set(help_tables()[0][command])


def test_every_global_option_is_in_the_manual_and_no_other():
    described = [name.lstrip("-") for name, _ in items(section(MANUAL, "OPTIONS"), "Fl")]
    assert described == help_tables()[1]
    for option in described:
        assert re.search(rf"Fl -(?:[\w-]+ \| -)?{option}\b", section(MANUAL, "SYNOPSIS")), option


def test_every_command_and_option_is_in_the_readme():
    commands, options = help_tables()
    text = README.read_text()
    for command, own in commands.items():
        assert f"`{command}`" in text, command
        for option in own:
            assert f"`--{option}" in text, (command, option)
    for option in options:
        if option not in commands:
            assert f"--{option}" in text, option


def test_every_environment_variable_is_in_the_manual():
    assert environment_variables()
    text = section(MANUAL, "ENVIRONMENT")
    assert set(re.findall(r"^\.It Ev (\w+)", text, re.M)) == environment_variables()


def test_every_exit_status_is_described_everywhere():
    assert exit_statuses()
    assert re.findall(r"^\.It (\d+)$", section(MANUAL, "EXIT STATUS"), re.M) == exit_statuses()
    assert ".It 128 + Ar n\n" in section(MANUAL, "EXIT STATUS")
    table = README.read_text().partition("| exit status |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| (\d+) \|", table, re.M) == exit_statuses()
    said = run("help").stdout.partition("exit status:")[2]
    for status in exit_statuses():
        assert re.search(rf"\b{status}\b", said), said


@pytest.mark.parametrize("where, words", command_lines(),
                         ids=[f"{where}: {' '.join(words)}" for where, words in command_lines()])
def test_command_line_that_is_shown_is_one(where, words):
    commands, options = help_tables()
    known, name, rest = options, None, iter(words[1:])
    with_value = re.findall(r"--([\w-]+) [A-Z]", run("help").stdout)
    for word in rest:
        if word == "--":
            assert name == "run", where
            assert list(rest), where
        elif word.startswith("--"):
            assert word[2:] in known, (where, word)
            if word[2:] in with_value or word == "--header":
                next(rest)
        else:
            assert name is None and word in commands, (where, word)
            name, known = word, commands[word]
    assert name


def test_readme_shows_each_way_to_run_it():
    called = {word for _, words in command_lines() for word in words}
    assert {"patch", "check", "run", "watch", "status", "probe"} <= called
    assert len(pods()) == 2
    ways = [re.match(r"\[(.*)\]\(#", row[0])[1] for row in rows(README, "## Four ways to run it")]
    assert len(ways) == 4


def test_readme_names_the_packages_that_a_build_needs():
    text = (REPOSITORY / "scripts" / "lib" / "packages.sh").read_text()
    needed = re.search(r"BUILD_PACKAGES=\(([^)]*)\)", text)[1].split()
    shown = re.search(r"^apt-get install (.*?[^\\])\n", README.read_text(), re.S | re.M)[1]
    assert shown.replace("\\", " ").split() == needed


def test_volumes_of_pods_are_there_and_mounted_as_folders():
    for pod in pods():
        volumes = {volume["name"] for volume in pod["volumes"]}
        mounts = [mount for container in [*pod["initContainers"], *pod["containers"]]
                  for mount in container.get("volumeMounts", [])]
        assert {mount["name"] for mount in mounts} == volumes
        assert not any("subPath" in mount for mount in mounts)


# -- privileges

def test_privileges_are_in_the_security_statement_with_what_they_are_for():
    table = {row[0].strip("`"): row[1:3] for row in rows(SECURITY, "## Privileges")}
    wanted = {}
    for name, ways in privileges().items():
        cells = [("**needed**" if ways[way] else "useful") if way in ways else ""
                 for way in ("run", "watch")]
        if any(cells):
            wanted[name] = cells
    assert len(wanted) > 4
    assert table == wanted


def test_sidecar_has_the_capabilities_that_watch_wants_and_no_other():
    wanted = {name for name, ways in privileges().items() if "watch" in ways}
    assert [set(container["securityContext"]["capabilities"]["add"]) for container in containers()
            if "securityContext" in container] == [wanted]


def test_privileges_are_in_the_manual():
    wanted = {name for name, ways in privileges().items() if {"run", "watch"} & set(ways)}
    items_of_it = re.findall(r"^\.It Dv (.*)$", section(MANUAL, "PRIVILEGES"), re.M)
    assert set(re.findall(r"CAP_(\w+)", " ".join(items_of_it))) == wanted


# -- a running postern

def test_every_metric_is_in_the_manual_with_its_kind_and_no_other(running):
    shown = dict(re.findall(r"^# TYPE (\S+) (\S+)$", running.get("/metrics"), re.M))
    described = listed("METRICS")
    assert len(shown) > 15
    assert set(described) == set(shown)
    for name, kind in shown.items():
        assert re.match(rf"(A )?{kind}\b", sentence(described[name]), re.I), (name, kind)


def test_every_label_of_a_metric_is_in_the_manual(running):
    described = listed("METRICS")
    found = re.findall(r"^(\w+)\{(.*)\}", running.get("/metrics"), re.M)
    assert found
    for name, labels in found:
        for label in re.findall(r'(\w+)="', labels):
            if label != "le":
                assert f".Li {label}" in described[name], (name, label)


def test_every_field_of_the_status_is_in_the_manual_and_no_other(running):
    status = running.status_when(lambda status: status["outcome"] == "waiting")
    assert status["last_failure"] and status["notes"] and status["twins"] and status["child"]
    assert set(listed("STATUS")) == paths(status)


def test_every_outcome_is_in_the_manual_and_the_readme():
    text = (SIDECAR / "report.c").read_text()
    words = re.findall(r'\[REPORT_\w+\] = "(\w+)"', text)
    assert len(words) == 5
    assert re.search(r"^\.Li starting$", listed("STATUS")["outcome"], re.M)
    for word in set(words) - {"starting"}:
        assert re.search(rf"^\.It Cm {word}$", section(MANUAL, "KEEPING WATCH"), re.M), word
        assert re.search(rf"^\| `{word}` \|", README.read_text(), re.M), word


def test_status_that_is_shown_has_the_lines_of_a_real_one(running):
    done = run("--socket", running.socket, "status")
    assert done.returncode == 0, done.stderr
    real = [line.split()[:1] for line in done.stdout.splitlines() if not line.startswith("last ")]
    console = "".join(fenced(README, "console"))
    shown = console.partition("$ postern status\n")[2].partition("\n\n")[0].splitlines()
    assert len(shown) == 8
    for line in shown[1:]:
        assert line.split()[:1] in real, line
    head = re.search(r"^SERVER .* ANSWER$", console, re.M)[0].split()
    assert head in [line.split() for line in done.stdout.splitlines()]


def test_times_in_the_documents_are_those_of_the_source():
    text = "\n".join(path.read_text() for path in SIDECAR.glob("*.[ch]"))

    def number(name):
        return int(re.search(rf"\b{name} = (\d+)", text)[1])

    readme, manual = sentence(README.read_text()), sentence(MANUAL.read_text())
    assert f"{number('SETTLE_QUIET_MS')} ms" in readme
    assert f"{number('SETTLE_QUIET_MS')} milliseconds" in manual
    assert f"{number('SETTLE_MAX_MS') // 1000} seconds at the latest" in manual
    assert f"again after {number('RETRY_FIRST_MS') // 1000} s, " in readme
    assert f"again after {number('RETRY_FIRST_MS') // 1000} seconds" in manual
    assert f"up to {number('RETRY_LAST_MS') // 60000} minutes" in manual
    assert f"has {number('STOP_LIMIT_MS') // 1000} seconds to come to its end" in manual
    assert number("TARGET_WAIT_MS") == 1000
    assert "one that it has, it looks every second" in readme
    assert "another one is looked for every second" in manual
    assert f"no room within {number('PATIENCE_MS')} ms is lost" in readme
    assert f"no room within {number('PATIENCE_MS')} milliseconds is lost" in manual
    for page in (CONF_MANUAL, SECURITY):
        assert f"ith {number('DESCRIPTORS_MAX')} descriptors in use, or half" in \
            sentence(page.read_text()), page
    assert f"`--grace` seconds ({number('GRACE_S')})" in readme
    assert f"from 0 to {number('GRACE_S_MAX')}; the default is {number('GRACE_S')}" in manual
    assert f"at most {number('VOLUME_DIGEST_FILES_MAX')} files and 16 MiB" in \
        sentence(CONF_MANUAL.read_text())
    assert "VOLUME_DIGEST_BYTES_MAX = 16 * 1024 * 1024" in text


# -- keys

def test_every_key_is_in_the_manual_and_no_other():
    assert len(all_keys()) > 10
    assert {name for name, _ in described_keys()} == all_keys()


@pytest.mark.parametrize("kind, key, default", sorted({
    row for rows in key_tables().values() for row in rows if default_text(row[0], row[2])}))
def test_default_is_in_the_manual(kind, key, default):
    if "CFGF_NODEFAULT" in re.search(rf'CFG_{kind}\(\s*"{key}",[^)]*\)', settings_source())[0]:
        return
    said = [part for name, text in described_keys() if name == key
            for part in sentence(text).split(". ") if "default" in part]
    wanted = re.escape(default_text(kind, default))
    assert any(re.search(rf"(?<![\w/-]){wanted}(?![\w/-])", part) for part in said), (key, said)


@pytest.mark.parametrize("section_name, table", [("overrides", "override_keys"),
                                                 ("watch", "watch_keys")])
def test_keys_of_a_section_are_described_in_it(section_name, table):
    names = [name for name, _ in described_keys()]
    keys = [key for _, key, _ in key_tables()[table]]
    after = names.index(section_name) + 1
    assert keys
    assert names[after:after + len(keys)] == keys


def test_default_folder_of_overrides_is_named_everywhere():
    folder = re.search(r'#define SETTINGS_DEFAULT_OVERRIDES "(.*)"', settings_source())[1]
    described = sentence(dict(described_keys())["overrides"])
    assert f"The default is {folder} ." in described
    assert re.search(rf"^\.It Pa {folder}$", section(MANUAL, "FILES"), re.M)
    for text in (EXAMPLE.read_text(), shown_defaults()):
        assert re.search(rf'^overrides "{folder}" \{{', text, re.M)


@pytest.mark.parametrize("text", [EXAMPLE.read_text(), shown_defaults()],
                         ids=["postern.conf", "README"])
def test_value_that_is_shown_of_a_plain_key_is_its_default(text):
    shown = 0
    for kind, key, default in key_tables()["top_keys"]:
        found = re.search(rf'^{key} += "?([^"\s#]*)', text, re.M)
        if found and default_text(kind, default):
            assert found[1] == default_text(kind, default).replace("empty", ""), key
            shown += 1
    assert shown >= 4


def test_no_key_is_said_to_be_without_effect():
    for page in (MANUAL, CONF_MANUAL, EXAMPLE, README, REPOSITORY / "CHANGELOG.md"):
        assert not re.search(r"nothing uses|does not keep running", page.read_text()), page


def test_every_range_is_in_the_manual():
    ranges = set(re.findall(r"from (\d+) to (\d+)", settings_source()))
    assert ranges
    for low, high in ranges:
        assert re.search(rf"[Ff]rom {low} to {high}\b", sentence(CONF_MANUAL.read_text())), \
            (low, high)


def test_every_word_that_a_key_takes_is_in_the_manual():
    lists = re.findall(r"static const char \*const \w+\[\] = \{([^}]*), NULL \}", settings_source())
    assert lists
    for words in lists:
        for word in re.findall(r'"([^"]+)"', words):
            assert re.search(rf"\bCm .*\b{word}\b", CONF_MANUAL.read_text()), word


# -- files that are shown

@pytest.mark.parametrize("where, text", configurations(), ids=[w for w, _ in configurations()])
def test_configuration_that_is_shown_loads(root, where, text):
    done = check(root, text)
    assert done.returncode == 0, (where, done.stderr)
    assert "error" not in done.stderr, (where, done.stderr)


def test_readme_shows_a_configuration():
    assert len(fenced(README, "conf")) >= 2


def test_example_file_names_every_key():
    text = EXAMPLE.read_text()
    for key in all_keys():
        assert re.search(rf"(?:^|[ {{#]){key}\b", text, re.M), key


@pytest.mark.parametrize("text", [EXAMPLE.read_text(), shown_defaults()],
                         ids=["postern.conf", "README"])
def test_defaults_that_are_shown_are_the_defaults(root, text):
    networks = re.search(r"^trusted-networks = .*$", text, re.M)[0]
    shown = json.loads(check(root, text, "--json").stdout)
    assert len(shown["twins"]) == 8
    assert shown == json.loads(check(root, networks + "\n", "--json").stdout)


def test_output_in_the_readme_is_what_the_program_prints(root):
    console = "".join(fenced(README, "console"))
    networks = "10.42.0.0/16 fd00:42::/48"
    shown = console.partition("$ postern check\n")[2].partition("$ ")[0].splitlines()
    said = run("--root", root, "check", networks=networks).stdout.splitlines()
    assert len(shown) > 10
    for line in shown:
        if not line.startswith("protection: gate:"):  # depends on who runs this
            assert line in said, line
    for _ in range(2):
        said = run("--root", root, "patch", "--no-reload", networks=networks)
        assert said.returncode == 0, said.stderr
        for line in said.stderr.splitlines():
            assert "not running" in line or line in console.splitlines(), line


def test_entry_in_the_readme_is_what_the_program_writes(root):
    done = run("--root", root, "patch", "--no-reload", networks="192.0.2.0/24")
    assert done.returncode == 0, done.stderr
    written = (root / "etc/postfix/master.cf").read_text().splitlines()
    shown = [line for block in fenced(README, "text") for line in block.splitlines()
             if re.match(r"    -o (?!smtpd_tls)", line)]
    assert len(shown) == 7
    at = written.index(shown[0])
    assert written[at:at + len(shown)] == shown


# -- the tree

def test_every_module_is_in_the_picture_of_the_tree_and_no_other():
    picture = fenced(CONTRIBUTING, "")[0]
    for folder, following in (("patchers", "sidecar"), ("sidecar", "scripts")):
        text = re.search(rf"^{folder}/(.*?)^{following}/", picture, re.S | re.M)[1]
        modules = {path.stem for path in (REPOSITORY / folder).rglob("*.[ch]")}
        named = [re.compile(word.replace("*", r"\w+")) for word in re.findall(r"[a-z][\w*]+", text)]
        assert len(modules) > 10
        for module in modules:
            assert any(name.fullmatch(module) for name in named), (folder, module)
        for word in re.findall(r"(?:^  |;  |, )([a-z]+_[\w*]+)", text, re.M):
            name = re.compile(word.replace("*", r"\w+"))
            assert any(name.fullmatch(module) for module in modules), (folder, word)


def test_every_table_of_the_benchmarks_is_described():
    program = REPOSITORY / "tests" / "bench" / "run"
    done = subprocess.run(["/usr/bin/python3", str(program), "--help"], text=True, timeout=30,
                          stdout=subprocess.PIPE, check=True)
    names = re.search(r"--only NAME,\.\.\.\s+(\w+(?:,\s+\w+)+)", done.stdout)[1]
    described = re.search(r"^\| table \|.*\n\|[-|]+\n((?:\|.*\n)+)", CONTRIBUTING.read_text(),
                          re.M)[1]
    assert re.findall(r"^\| `(\w+)` \|", described, re.M) == re.split(r",\s+", names)


# -- the pages themselves

def test_each_door_of_a_library_is_named():
    headers = {"libconfuse": "confuse.h", "libcap-ng": "cap-ng.h", "libevent": "event2/",
               "jansson": "jansson.h", "libmd": "sha2.h", "inotify-tools": "inotifytools/"}
    table = dict(re.findall(r"^\| ([\w-]+)[^|]* \| (`sidecar.*) \|$", CONTRIBUTING.read_text(),
                            re.M))
    assert set(table) == set(headers)
    for library, header in headers.items():
        doors = {f"sidecar/{path.name}" for path in SIDECAR.glob("*.[ch]")
                 if re.search(rf"^#include <{header}", path.read_text(), re.M)}
        assert set(re.findall(r"`([^`]+)`", table[library])) == doors, library


def test_files_in_the_work_folder_are_in_the_manual_and_no_others():
    text = "\n".join(path.read_text() for path in sorted(SIDECAR.glob("*.[ch]")))
    folder = re.search(r'#define HOST_WORK_DIRECTORY "(.*)"', text)[1]
    text = text.replace('HOST_WORK_DIRECTORY "', f'"{folder}')
    # A name that ends in the server's is one of each.
    used = {path + end for path in re.findall(rf'"({folder}/[\w.-]+)(?:%[.\d]*s)?"', text)
            for end in (("postfix", "dovecot") if path.endswith("-") else ("",))}
    described = re.findall(rf"{folder}/[\w.-]+", section(MANUAL, "FILES"))
    assert len(used) > 5
    assert set(described) == used


def program_texts():
    """All string literals of the program, those that stand together as one."""
    text = "\n".join(path.read_text() for folder in ("sidecar", "patchers")
                     for path in sorted((REPOSITORY / folder).glob("*.[ch]")))
    return re.sub(r'"\s*"', "", text)


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


@pytest.mark.parametrize("line, parts", diagnostics(), ids=[line for line, _ in diagnostics()])
def test_message_in_the_manual_is_one_of_the_program(line, parts):
    texts = program_texts()
    for part in parts:
        assert part in texts, (line, part)


@pytest.mark.parametrize("page", [MANUAL, CONF_MANUAL], ids=lambda page: page.name)
def test_manual_is_clean(page):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "all", str(page)], text=True, timeout=30,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    said = [line for line in done.stdout.splitlines() if not NOT_OF_THE_PAGE.search(line)]
    assert said == []


def anchors(path):
    """Where a link can lead inside a page, by the rule of the usual repository hosts."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.S | re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", text, re.M)}


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_internal_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def test_readme_opens_with_commands_that_are_there():
    commands = [line.split()[0] for line in fenced(README, "sh")[0].splitlines()]
    assert commands == ["scripts/demo", "scripts/test"]
    for command in commands:
        assert os.access(REPOSITORY / command, os.X_OK), command


def test_changelog_knows_this_version():
    version = run("version").stdout.split()[1]
    assert f"## [{version}]" in (REPOSITORY / "CHANGELOG.md").read_text()
