# SPDX-License-Identifier: MIT
"""postern run: its exit status, its messages when CMD cannot be started, and its options."""
import os
import re
import shutil
import signal
import subprocess

import pytest

import kernel_calls
import supervised
from lab import mailhost, wait

pytestmark = pytest.mark.usefixtures("postern_built")

STATUSES = range(256)
# What we exit with when it is not CMD's doing.
OWN_FAILURE, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127


def status_of(command, *options, environment=None, separator=("--",)):
    """Only the status, as fast as it goes."""
    return subprocess.run(supervised.postern_run(*options, *separator, *command),
                          stdin=subprocess.DEVNULL, env=environment, timeout=wait.LIMIT_S,
                          check=False).returncode


def exits_with(code):
    return ["/bin/sh", "-c", f"exit {code}"]


# -- the command's status

def test_each_exit_code_can_be_remapped():
    for code in STATUSES:
        assert status_of(exits_with(code), "--remap-exit", str(code)) == 0, code


def test_remapping_all_other_codes_changes_nothing():
    environment = {**os.environ, "POSIXLY_CORRECT": "1"}
    for code in STATUSES:
        others = [word for other in STATUSES if other != code
                  for word in ("--remap-exit", str(other))]
        assert status_of(exits_with(code), *others, environment=environment,
                         separator=()) == code


@pytest.mark.parametrize("rules,code,expected", [
    (["143:0"], 143, 0), (["3:4"], 3, 4), (["3:4", "4:5"], 3, 4), (["3:4", "3:5"], 3, 5),
    (["0:9"], 0, 9), (["255:1"], 255, 1), (["1"], 2, 2),
])
def test_a_remapped_code_is_the_one_that_was_given_last(rules, code, expected):
    options = [word for rule in rules for word in ("--remap-exit", rule)]
    assert status_of(exits_with(code), *options) == expected


def test_a_signal_counts_as_a_code_when_remapping():
    assert status_of(["/bin/sh", "-c", "kill -TERM $$"], "--remap-exit", "143") == 0


@pytest.mark.parametrize("code", [0, 1, 2, 32, 64, 127, 254, 255])
def test_the_exit_code_is_the_commands(as_init, code):
    status, _, said = supervised.run(exits_with(code), as_init=as_init)
    assert status == code
    assert f"run: /bin/sh ended with status {code}\n" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL,
                                    signal.SIGSEGV, signal.SIGABRT, signal.SIGRTMAX])
def test_a_command_that_a_signal_ended_gives_128_and_its_number(as_init, number):
    status, _, said = supervised.run(["/bin/sh", "-c", f"ulimit -c 0; kill -{int(number)} $$"],
                                     as_init=as_init)
    assert status == 128 + number
    assert re.search(r"run: /bin/sh was ended by SIG\w+", said)


# -- commands that cannot be started

FORMS = [(), ("--",), ("--process-group",), ("--process-group", "--")]


@pytest.mark.parametrize("form", FORMS, ids=" ".join)
def test_a_command_that_is_not_there_is_named(form):
    done = subprocess.run(supervised.postern_run(*form, "/doesnotexist"),
                          stderr=subprocess.PIPE, text=True, timeout=wait.LIMIT_S, check=False)
    assert done.returncode == NOT_FOUND
    assert done.stderr == "postern: error: run: /doesnotexist: No such file or directory\n"


def test_not_found_and_not_executable_are_told_apart(tmp_path, as_init):
    plain, script, empty_path = tmp_path / "plain", tmp_path / "script", "zzzz-no-such-program"
    plain.write_text("text\n")
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    for command, status, why in [
            (str(plain), NOT_EXECUTABLE, "Permission denied"),
            (str(tmp_path), NOT_EXECUTABLE, "Permission denied"),
            (str(plain / "below"), NOT_FOUND, "Not a directory"),
            (str(script), NOT_FOUND, "No such file or directory"),
            (empty_path, NOT_FOUND, "No such file or directory"),
            ("", NOT_FOUND, "No such file or directory")]:
        got, _, said = supervised.run([command], as_init=as_init, level="error")
        assert (got, said) == (status, f"postern: error: run: {command}: {why}\n")


def test_a_script_without_an_interpreter_line_is_the_shells(tmp_path):
    script = tmp_path / "script"
    script.write_text('exit "$1"\n')
    script.chmod(0o755)
    assert status_of([str(script), "7"]) == 7


def test_when_no_process_can_be_made_it_is_our_failure(without_leak_check):
    status, _, said = supervised.run(
        ["/bin/true"], level="error",
        before=lambda: kernel_calls.refuse_fork(11, vfork_too=True))
    assert status == OWN_FAILURE
    assert said == "postern: error: run: start /bin/true: Resource temporarily unavailable\n"


# -- options

def usage(*arguments):
    """(status, what is said) of a call that starts nothing."""
    done = subprocess.run([mailhost.postern_binary(), *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=wait.LIMIT_S, check=False)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", [(), ("--",), ("--process-group",), ("--grace", "1", "--")])
def test_without_a_command_it_says_so(arguments):
    status, said = usage("run", *arguments)
    assert status == OWN_FAILURE
    assert "run: there is no CMD to start" in said


@pytest.mark.parametrize("arguments,named", [
    (("-z",), '"-z"'), (("--zzzz",), '"--zzzz"'), (("-w", "true"), '"-w"'),
    (("--grace",), '"--grace"'), (("--process-group=yes", "true"), '"--process-group=yes"'),
    (("--version",), '"--version"'),
])
def test_unknown_and_incomplete_options_are_refused(arguments, named):
    status, said = usage("run", *arguments)
    assert status == OWN_FAILURE
    assert named in said


@pytest.mark.parametrize("rule", ["", "derp", "derp:TERM", "15", "15::12", "15:derp", "15:12a",
                                  "15a:12", "-1:12", "15:-1", "15:99", "KILL:TERM", "0:15",
                                  "15:12,", "15:12 10:12"])
def test_malformed_rewrites_are_refused(rule):
    status, said = usage("run", "--rewrite", rule, "--", "true")
    assert status == OWN_FAILURE
    assert said.startswith("postern: error: run: --rewrite ")


@pytest.mark.parametrize("option,value", [
    *(("--remap-exit", value) for value in ("", "x", "256", "-1", "1:", ":1", "1:256", "1:2:3")),
    *(("--grace", value) for value in ("", "x", "-1", "1.5", "3601", "5s")),
    *(("--parent-death-signal", value) for value in ("", "0", "65", "derp", "KILL", "CHLD")),
])
def test_malformed_values_are_refused(option, value):
    status, said = usage("run", option, value, "--", "true")
    assert status == OWN_FAILURE
    assert said.startswith(f'postern: error: run: {option} "{value}"')


def test_options_of_the_command_are_its_own():
    for words in (["/bin/echo", "--grace", "x"], ["--", "/bin/echo", "--grace", "x"]):
        done = subprocess.run(supervised.postern_run(*words), stdout=subprocess.PIPE,
                              text=True, timeout=wait.LIMIT_S, check=False)
        assert (done.returncode, done.stdout) == (0, "--grace x\n")


@pytest.mark.parametrize("word", ["help", "--help"])
def test_the_help_names_run_and_each_option(word):
    done = subprocess.run([mailhost.postern_binary(), word], stdout=subprocess.PIPE, text=True,
                          timeout=wait.LIMIT_S, check=False)
    assert done.returncode == 0
    after = done.stdout.partition("\n  run ")[2]
    for option in ("--process-group", "--rewrite FROM:TO", "--remap-exit FROM[:TO]",
                   "--grace SECONDS", "--parent-death-signal SIGNAL"):
        assert f"\n      {option} " in after


def test_the_version_is_told():
    done = subprocess.run([mailhost.postern_binary(), "--version"], stdout=subprocess.PIPE,
                          text=True, timeout=wait.LIMIT_S, check=False)
    assert done.returncode == 0
    assert re.fullmatch(r"postern \d+\.\d+\.\d+\n", done.stdout)


# -- messages

def test_nothing_is_said_unless_something_is_wrong():
    assert supervised.run(exits_with(3), level="warning") == (3, "", "")


@pytest.mark.parametrize("options", [(), ("--process-group",)])
def test_at_debug_level_every_step_is_told_in_its_order(supervise, options):
    run = supervise(supervised.recorder(), *options).ready()
    child = run.child
    run.send(signal.SIGUSR1)
    assert run.line() == str(int(signal.SIGUSR1))
    os.kill(child, signal.SIGKILL)
    assert run.status() == 128 + signal.SIGKILL
    program = supervised.PYTHON[0]
    steps = [f"info: run: {program} is process {child}",
             f"debug: run: SIGUSR1 goes to process {child} as SIGUSR1",
             f"info: run: {program} was ended by SIGKILL",
             f"debug: run: reaped process {child}"]
    said = [line.removeprefix("postern: ") for line in run.said().splitlines()]
    assert [line for line in said if line in steps] == steps


def test_the_binary_is_enough_in_an_empty_root(tmp_path):
    """What a package's installation would show: it needs nothing else to be there."""
    inside = tmp_path / "postern"
    shutil.copy(mailhost.postern_binary(), inside)
    script = f"{mailhost.libraries_in(tmp_path)}; exec chroot {tmp_path} \"$@\""
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", "/postern",
                           "--log-level", "warning", "run", "--", "/postern", "version"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=wait.LIMIT_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("postern ")
