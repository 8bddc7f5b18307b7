# SPDX-License-Identifier: MIT
"""Configuration made to have no end: it is refused, in words, before it costs anything."""
import pytest

from hostile_root import FILES, HostileRoot
from lab import mailhost, postern

DOVECOT = "/etc/dovecot/dovecot.conf"
SOON_S = 30
# What is written where, and what is said of it; None: it is taken.
SIZES = {
    "braces that multiply": (DOVECOT, "!include_try /x/" + "{a,b}" * 40 + "\n", "braces"),
    "braces within braces": (DOVECOT, "!include_try /x/" + "{a,{b,c}" * 30 + "}" * 30 + "\n",
                             "braces"),
    "stars": (DOVECOT, "!include_try " + "/*" * 12 + "\n", None),
    "a path without end": (DOVECOT, "!include_try /" + "a/" * (8 << 20) + "\n", "too long"),
    "a file that includes itself": (DOVECOT, "!include dovecot.conf\n", "recursive"),
    "a file that includes all": (DOVECOT, "!include *\n", "recursive"),
    "the kernel's files": (DOVECOT, "!include /proc/*/environ\n", None),
    "sections without end": (DOVECOT, "a {\n" * 200000, "nest too deeply"),
    "settings without end": (DOVECOT, FILES[DOVECOT] + "a = b\n" * 1000000, "settings"),
    "parameters that multiply": (mailhost.MAIN_CF, "".join(
        f"a{n} = $a{n + 1}$a{n + 1}\n" for n in range(60)) + "queue_directory = $a0\n", "refers"),
    "a parameter of itself": (mailhost.MAIN_CF, "queue_directory = $queue_directory\n", "refers"),
    "entries that say they are ours": (mailhost.MASTER_CF, FILES[mailhost.MASTER_CF] + "".join(
        f"{20000 + n} inet n - n - - smtpd\n  -o postern_twin_of=x{n}\n" for n in range(10000)), None),
    "overrides without end": (f"{postern.OVERRIDES}/postfix-main.cf", "".join(
        f"p{n} = b\n" for n in range(300000)), "settings"),
    "services without end": ("/etc/services", "smtp 25/tcp\n" * 3000000, None),
}


@pytest.fixture
def root(tmp_path, postern_built):
    return HostileRoot(tmp_path)


@pytest.mark.parametrize("name", SIZES)
def test_what_has_no_end_is_refused_soon(root, name):
    path, text, said = SIZES[name]
    root.write(path, text)
    done = root.run("patch", "--no-reload", within=SOON_S)
    if said:
        assert done.returncode == 1 and said in done.stderr.decode(), done.stderr[-500:]
        assert path.rsplit("/", 1)[0] in done.stderr.decode(), done.stderr[-500:]


@pytest.mark.parametrize("path, setting", [(mailhost.MAIN_CF, "queue_directory"),
                                           (DOVECOT, "base_dir")])
def test_where_a_pid_file_is_has_no_end(root, path, setting):
    """More of a name than there is of a stack."""
    root.write(path, f"{setting} = /{'a/' * (6 << 20)}\n")
    for command in ("patch", "revert"):
        done = root.run(command, "--no-reload", within=SOON_S)
        assert done.returncode == (command == "patch"), done.stderr[-500:]
        assert b"too long" in done.stderr, done.stderr[-500:]


def test_many_files_that_are_large_together_are_refused(root):
    root.write("/etc/dovecot/large.conf", "# " + "x" * (30 << 20) + "\n")
    root.write(DOVECOT, "!include large.conf\n" * 60)
    done = root.run("patch", "--no-reload", within=SOON_S)
    assert done.returncode == 1 and b"more than 64 MiB" in done.stderr


@pytest.mark.parametrize("path", [mailhost.MASTER_CF, mailhost.MAIN_CF, DOVECOT,
                                  "/etc/dovecot/conf.d/10-master.conf",
                                  f"{postern.OVERRIDES}/postfix-main.cf"])
def test_real_bytes_beyond_the_limit_are_refused(root, path):
    root.write(path, b"#" * (65 << 20))
    done = root.run("patch", "--no-reload", within=SOON_S)
    assert done.returncode == 1 and path.encode() in done.stderr and b"64 MiB" in done.stderr
