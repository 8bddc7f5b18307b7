# SPDX-License-Identifier: MIT
"""`postern install` by itself: what its hook runs and in which order, and what it refuses."""
import os
import random
import signal
import subprocess
import time

import pytest

from lab import mailhost

# Stands for postern where the hook is under test: writes down how it is called.
RECORDER = """#!/bin/bash
printf '%s\\n' "$*" >>"$CALLS"
exit "${RECORDER_STATUS:-0}"
"""
NOBODY = 65534
LIMIT_S = 60
ROUNDS = 60
AT_ONCE = 6


def run(postern, *words, **options):
    return subprocess.run([postern, *map(str, words)], text=True, timeout=LIMIT_S, check=False,
                          stdin=subprocess.DEVNULL, capture_output=True, **options)


class Volume:
    """A folder with a hook in it, whose program only writes down its calls."""

    def __init__(self, postern, folder, *options):
        self.folder, self.calls = folder, folder.parent / "calls"
        folder.mkdir(parents=True, exist_ok=True)
        done = run(postern, *options, folder)
        assert done.returncode == 0, done
        (folder / "postern").write_text(RECORDER)

    def hook(self, **env):
        """Its exit status, what was called in which order, what was said."""
        self.calls.write_text("")
        done = subprocess.run(["/bin/bash", self.folder / "user-patches.sh"], text=True,
                              timeout=LIMIT_S, check=False, capture_output=True,
                              env={"PATH": os.environ["PATH"], "CALLS": str(self.calls), **env})
        return done.returncode, self.calls.read_text(errors="replace").splitlines(), done.stderr


def script(path, name, *more):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([f"echo {name} >>$CALLS", *more, ""]))


# -- the hook

def test_without_a_script_the_twins_are_made_once(postern_built, tmp_path):
    volume = Volume(postern_built, tmp_path / "volume", "install")
    assert volume.hook() == (0, ["patch"], "")


def test_configuration_is_handed_on(postern_built, tmp_path):
    volume = Volume(postern_built, tmp_path / "volume", "--config", "/etc/it's mine.conf",
                    "install")
    assert volume.hook() == (0, ["--config /etc/it's mine.conf patch"], "")


def test_relative_names_are_made_absolute(postern_built, tmp_path):
    (tmp_path / "volume").mkdir()
    done = run(postern_built, "--config", "my.conf", "install", "volume", cwd=tmp_path)
    assert done.returncode == 0, done
    text = (tmp_path / "volume" / "user-patches.sh").read_text()
    assert f"folder='{tmp_path}/volume'\n" in text
    assert f"options=(--config '{tmp_path}/my.conf')\n" in text


@pytest.mark.parametrize("as_folder", [False, True], ids=["file", "folder"])
def test_both_scripts_run_the_kept_one_first(postern_built, tmp_path, as_folder):
    script(tmp_path / "volume" / "user-patches.sh", "kept")
    script(tmp_path / "config" / "user-patches.sh", "named")
    named = tmp_path / "config" if as_folder else tmp_path / "config" / "user-patches.sh"
    volume = Volume(postern_built, tmp_path / "volume", "install", "--user-patches", named)
    assert volume.hook() == (0, ["patch", "kept", "named", "patch"], "")


def test_script_that_appears_later_is_found_when_the_hook_runs(postern_built, tmp_path):
    volume = Volume(postern_built, tmp_path / "volume", "install", "--user-patches",
                    tmp_path / "config")
    assert volume.hook() == (0, ["patch"], "")
    (tmp_path / "config").mkdir()
    assert volume.hook() == (0, ["patch"], "")
    script(tmp_path / "config" / "user-patches.sh", "named")
    assert volume.hook() == (0, ["patch", "named", "patch"], "")


def test_a_failing_script_is_said_and_stops_nothing(postern_built, tmp_path):
    script(tmp_path / "volume" / "user-patches.sh", "kept", "exit 7")
    script(tmp_path / "config" / "user-patches.sh", "named")
    volume = Volume(postern_built, tmp_path / "volume", "install", "--user-patches",
                    tmp_path / "config")
    code, calls, said = volume.hook()
    assert (code, calls) == (1, ["patch", "kept", "named", "patch"])
    assert "user-patches.own.sh failed with status 7" in said


def test_a_failing_patch_is_said_and_stops_nothing(postern_built, tmp_path):
    script(tmp_path / "volume" / "user-patches.sh", "kept")
    volume = Volume(postern_built, tmp_path / "volume", "install")
    code, calls, said = volume.hook(RECORDER_STATUS="2")
    assert (code, calls) == (1, ["patch", "kept", "patch"])
    assert said.count("failed with status 2") == 2


def test_link_that_leads_nowhere_is_said(postern_built, tmp_path):
    (tmp_path / "named").symlink_to("/nowhere")
    volume = Volume(postern_built, tmp_path / "volume", "install", "--user-patches",
                    tmp_path / "named")
    code, calls, said = volume.hook()
    assert (code, calls) == (1, ["patch"])
    assert f"{tmp_path}/named is no file" in said


def test_one_file_of_two_names_runs_once(postern_built, tmp_path):
    script(tmp_path / "config" / "user-patches.sh", "mine")
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "user-patches.sh").symlink_to(tmp_path / "config" / "user-patches.sh")
    volume = Volume(postern_built, tmp_path / "volume", "install", "--user-patches",
                    tmp_path / "config")
    assert volume.hook() == (0, ["patch", "mine", "patch"], "")


def test_hook_that_is_named_as_the_script_does_not_call_itself_for_ever(postern_built, tmp_path):
    volume = Volume(postern_built, tmp_path / "volume", "install", "--user-patches",
                    tmp_path / "volume")
    code, calls, said = volume.hook()
    assert (code, calls) == (0, ["patch", "patch"])
    assert "was called by itself" in said


@pytest.mark.parametrize("name", ["with blanks", "it's", "$HOME `id` \"x\" \\", "*?[a]{b,c}~!#&;|",
                                  "\u00e4\u2713", os.fsdecode(b"\xff\xc3")])
def test_hook_works_from_a_folder_of_any_name(postern_built, tmp_path, name):
    script(tmp_path / name / "user-patches.sh", "kept")
    script(tmp_path / f"-{name}" / "user-patches.sh", "named")
    volume = Volume(postern_built, tmp_path / name, "--config", f"/etc/{name}", "install",
                    "--user-patches", tmp_path / f"-{name}")
    for locale in ("C", "C.UTF-8"):
        code, calls, said = volume.hook(LC_ALL=locale)
        assert (code, said) == (0, "")
        assert calls[1:3] == ["kept", "named"] and len(calls) == 4


def test_hook_is_clean_to_shellcheck(postern_built, tmp_path):
    volume = Volume(postern_built, tmp_path / "it's", "--config", "/c", "install",
                    "--user-patches", "/config")
    done = subprocess.run(["shellcheck", volume.folder / "user-patches.sh"], text=True,
                          timeout=LIMIT_S, check=False, capture_output=True)
    assert (done.returncode, done.stdout) == (0, "")


# -- the program

def test_installed_program_is_the_one_that_ran(postern_built, tmp_path):
    assert run(postern_built, "install", tmp_path).returncode == 0
    with open(postern_built, "rb") as ran:
        assert (tmp_path / "postern").read_bytes() == ran.read()
    (tmp_path / "next").mkdir()
    done = run(tmp_path / "postern", "install", tmp_path / "next")
    assert done.returncode == 0 and done.stderr.count(": written") == 2
    # onto itself
    done = run(tmp_path / "postern", "install", tmp_path)
    assert done.returncode == 0 and "nothing to do" in done.stderr


@pytest.mark.parametrize("words, said", [
    (["install"], "no DIR"),
    (["install", ""], "no DIR"),
    (["install", "{0}", "more"], 'unexpected "more"'),
    (["install", "--at", "relative", "{0}"], "--at: wanted an absolute path"),
    (["install", "--at", "/a\nb", "{0}"], "--at: wanted an absolute path"),
    (["install", "--user-patches", "my.sh", "{0}"], "--user-patches: wanted an absolute path"),
    (["install", "{0}/a\tb"], "control characters"),
    (["--config", "a\x1bb", "install", "{0}"], "--config: wanted a path without control"),
    (["install", "--hook", "{0}"], '"--hook"'),
])
def test_usage_errors_are_2_and_touch_nothing(postern_built, tmp_path, words, said):
    done = run(postern_built, *[word.format(tmp_path) for word in words])
    assert done.returncode == 2 and said in done.stderr, done
    assert os.listdir(tmp_path) == []


def test_failures_are_1_and_name_path_and_cause(postern_built, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "taken" / "postern").mkdir(parents=True)
    for folder, cause in (("absent", "absent: No such file or directory"),
                          ("file", "file: Not a directory"),
                          ("taken", "taken/postern is a folder")):
        done = run(postern_built, "install", tmp_path / folder)
        assert done.returncode == 1 and f"{tmp_path}/{cause}" in done.stderr, done
        assert len(done.stderr.splitlines()) == 1


def scratch(postern, tmp_path):
    """The root of an image that holds the program alone, and a volume that all may write."""
    root = tmp_path / "root"
    for folder in ("proc", "volume"):
        (root / folder).mkdir(parents=True)
    (root / "volume").chmod(0o777)
    (root / "program").write_bytes(open(postern, "rb").read())
    (root / "program").chmod(0o755)
    tmp_path.chmod(0o755)
    return root


def in_scratch(root, before, *words):
    """In mounts of its own, as an ordinary user without groups."""
    become = f"exec chroot --userspec={NOBODY}:{NOBODY} --groups= . \"$@\""
    script_text = f"set -e; {mailhost.libraries_in('.')}; {before}\n{become}"
    return subprocess.run(["unshare", "--mount", "sh", "-c", script_text, "sh", "/program", *words],
                          cwd=root, text=True, timeout=LIMIT_S, check=False, capture_output=True)


def test_image_from_scratch_and_a_user_who_is_not_root(postern_built, tmp_path):
    root = scratch(postern_built, tmp_path)
    done = in_scratch(root, "mount -t proc proc proc", "install", "--at", "/postern", "/volume")
    assert done.returncode == 0, done
    assert (root / "volume" / "postern").read_bytes() == (root / "program").read_bytes()
    assert (root / "volume" / "postern").stat().st_uid == NOBODY
    assert "folder='/postern'\n" in (root / "volume" / "user-patches.sh").read_text()


def test_without_proc_the_reason_is_said(postern_built, tmp_path):
    root = scratch(postern_built, tmp_path)
    done = in_scratch(root, "", "install", "/volume")
    assert done.returncode == 1 and "/proc/self/exe: No such file" in done.stderr, done
    assert os.listdir(root / "volume") == []


@pytest.mark.parametrize("options, cause", [
    ("ro", "Read-only file system"),
    ("size=64k,mode=777", "No space left on device"),
    ("mode=755", "Permission denied"),
])
def test_volume_that_takes_nothing_is_said(postern_built, tmp_path, options, cause):
    root = scratch(postern_built, tmp_path)
    done = in_scratch(root, f"mount -t proc proc proc; mount -t tmpfs -o {options} tmpfs volume",
                      "install", "/volume")
    assert done.returncode == 1, done
    assert f"/volume/postern: {cause}" in done.stderr, done
    assert len(done.stderr.splitlines()) == 1


# -- killed, and several at once

def assert_whole(folder, contents):
    """Each name of ours is absent, or holds one of these."""
    for name, wanted in contents.items():
        path = folder / name
        assert not path.exists() or path.read_bytes() in wanted, name


def test_killed_at_any_moment_it_leaves_nothing_half(postern_built, tmp_path):
    dice = random.Random(4)
    volume = tmp_path / "volume"
    volume.mkdir()
    start = time.monotonic()
    assert run(postern_built, "install", volume).returncode == 0
    latest = time.monotonic() - start
    program = (volume / "postern").read_bytes()
    hook = (volume / "user-patches.sh").read_bytes()
    own = b"echo mine\n"
    in_time = 0
    for _ in range(ROUNDS):
        for name in os.listdir(volume):
            if not name.startswith("."):
                (volume / name).unlink()
        (volume / "postern").write_bytes(b"older")
        (volume / "user-patches.sh").write_bytes(own)
        child = subprocess.Popen([postern_built, "install", volume], stdin=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        time.sleep(dice.uniform(0, latest))
        child.send_signal(signal.SIGKILL)
        killed = child.wait() == -signal.SIGKILL
        in_time += killed
        latest *= 1.04 if killed else 1.04 ** -3
        assert_whole(volume, {"postern": (b"older", program), "user-patches.sh": (own, hook),
                              "user-patches.own.sh": (own,)})
        assert own in [(volume / name).read_bytes() for name in os.listdir(volume)]
    assert in_time > ROUNDS / 4
    assert run(postern_built, "install", volume).returncode == 0
    assert sorted(os.listdir(volume)) == ["postern", "user-patches.own.sh", "user-patches.sh"]
    assert (volume / "postern").read_bytes() == program


def test_several_at_once_all_succeed(postern_built, tmp_path):
    (tmp_path / "user-patches.sh").write_text("echo mine\n")
    children = [subprocess.Popen([postern_built, "install", tmp_path], stderr=subprocess.PIPE,
                                 stdin=subprocess.DEVNULL, text=True) for _ in range(AT_ONCE)]
    said = [child.communicate(timeout=LIMIT_S)[1] for child in children]
    assert [child.returncode for child in children] == [0] * AT_ONCE
    assert sum("nothing to do" in text for text in said) == AT_ONCE - 1, said
    assert sorted(os.listdir(tmp_path)) == ["postern", "user-patches.own.sh", "user-patches.sh"]
