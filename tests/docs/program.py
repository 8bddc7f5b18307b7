# SPDX-License-Identifier: MIT
"""What the program knows: asked from it, or read in its tables."""
import os
import pathlib
import re
import subprocess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
POSTERN = os.environ.get("POSTERN", str(REPOSITORY / "build" / "release" / "postern"))
SIDECAR = REPOSITORY / "sidecar"


def run(*arguments, networks=None):
    env = {"PATH": os.environ["PATH"]}
    if networks:
        env["POSTERN_TRUSTED_NETWORKS"] = networks
    return subprocess.run([POSTERN, *map(str, arguments)], env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30,
                          check=False)


def check(root, text, *options):
    path = root.parent / "given.conf"
    path.write_text(text)
    return run("--config", path, "--root", root, "check", *options)


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


def program_texts():
    """All string literals of the program, those that stand together as one."""
    text = "\n".join(path.read_text() for folder in ("sidecar", "patchers")
                     for path in sorted((REPOSITORY / folder).glob("*.[ch]")))
    return re.sub(r'"\s*"', "", text)
