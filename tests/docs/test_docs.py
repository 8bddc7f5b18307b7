# SPDX-License-Identifier: MIT
"""The documentation says what the program does: commands, options, keys, variables, statuses.

What the program knows is asked from the program (`postern help`) or read in its tables; what the
documents say is read in their source.
"""
import json
import os
import pathlib
import re
import subprocess

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
POSTERN = os.environ.get("POSTERN", str(REPOSITORY / "build" / "release" / "postern"))
SIDECAR = REPOSITORY / "sidecar"
MANUAL = SIDECAR / "postern.8"
CONF_MANUAL = SIDECAR / "postern.conf.5"
EXAMPLE = SIDECAR / "postern.conf"
README = REPOSITORY / "README.md"
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
    body = re.search(r"enum \{([^}]*EXIT_DONE[^}]*)\}", (SIDECAR / "command.h").read_text())[1]
    return re.findall(r"= (\d+)", body)


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


def described_keys():
    return items(CONF_MANUAL.read_text(), "Ic")


def fenced(path, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.S | re.M)


def literal_displays(text):
    return re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed$", text, re.S | re.M)


def configurations():
    """Every configuration that a document shows: [(where, text)]."""
    shown = [(f"README block {n}", text) for n, text in enumerate(fenced(README, "conf"), 1)]
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
    table = README.read_text().partition("| exit status |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| (\d+) \|", table, re.M) == exit_statuses()
    said = run("help").stdout.partition("exit status:")[2]
    for status in exit_statuses():
        assert re.search(rf"\b{status}\b", said), said


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


@pytest.mark.parametrize("text", [EXAMPLE.read_text(), fenced(README, "conf")[0]],
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


# -- the pages themselves

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
