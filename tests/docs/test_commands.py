# SPDX-License-Identifier: MIT
"""Commands, options, variables, exit statuses, files, messages: those of the program."""
import json
import re

import pytest

from documents import MANUAL, README, command_lines, diagnostics, items, listed, pods, rows, section
from program import (SIDECAR, environment_variables, exit_statuses, help_tables, program_texts,
                     run)


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
        elif name == "install":
            assert word.startswith("/") and next(rest, None) is None, (where, word)
        elif name == "probe":
            assert re.match(r"\w+=\S+:\d+$", word), (where, word)
        else:
            assert name is None and word in commands, (where, word)
            name, known = word, commands[word]
    assert name


def test_every_field_of_a_probed_target_is_in_the_manual_and_no_other():
    done = run("probe", "--json", "imap=127.0.0.1:1")  # nobody listens on port 1
    assert done.returncode == 1, done
    rows = json.loads(done.stdout)
    assert rows and all(set(row) == set(listed("PROBING OTHER HOSTS")) for row in rows)


def test_every_word_of_a_probed_target_is_in_the_manual():
    text = section(MANUAL, "PROBING OTHER HOSTS")
    for file, tables in (("probe_law.c", ("names", "answer_names")), ("proxy_header.c", ("names",)),
                         ("probe_target.c", ("listeners",))):
        source = (SIDECAR / file).read_text()
        for table in tables:
            body = re.search(rf"\b{table}\[\] = \{{(.*?)\}};", source, re.S)[1]
            words = re.findall(r'"(\w+)"', body)
            assert len(words) >= 3, table
            for word in words:
                assert re.search(rf"^\..*\b{word}\b", text, re.M), (table, word)


def test_readme_shows_each_way_to_run_it():
    called = {word for _, words in command_lines() for word in words}
    assert {"patch", "check", "run", "watch", "status", "probe"} <= called
    assert len(pods()) == 2
    ways = [re.match(r"\[(.*)\]\(#", row[0])[1] for row in rows(README, "## Four ways to run it")]
    assert len(ways) == 4


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


@pytest.mark.parametrize("line, parts", diagnostics(), ids=[line for line, _ in diagnostics()])
def test_message_in_the_manual_is_one_of_the_program(line, parts):
    texts = program_texts()
    for part in parts:
        assert part in texts, (line, part)
