# SPDX-License-Identifier: MIT
"""helm/postern/files/prepare.sh, run as the pod runs it, on folders that are laid out as kubelet does.

FROM is a projected volume, TO docker-mailserver's folder on a claim.  Each run is a start of the pod.
"""
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from lab.kubelet import Volume  # noqa: E402  (needs the path above)

SCRIPT = TESTS.parent / "helm/postern/files/prepare.sh"
HOOK = "/postern/user-patches.sh"  # is in the mail container only


class Projected(Volume):
    """A volume whose keys may be paths: kubelet shows the first part of each."""

    def read(self):
        folder = pathlib.Path(self.path, "..data")
        return {str(path.relative_to(folder)): path.read_bytes()
                for path in sorted(folder.rglob("*")) if path.is_file()}

    def _make_generation(self, keys):
        name = super()._make_generation({})
        for key, data in keys.items():
            path = pathlib.Path(self.path, name, key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return name

    def _make_names(self, keys):
        super()._make_names({key.split("/")[0] for key in keys})

    def _remove_stale_names(self, keys):
        super()._remove_stale_names({key.split("/")[0] for key in keys})

    def _remove_generation(self, old):
        shutil.rmtree(os.path.join(self.path, old))


class Pod:
    """The two folders, and starts of the pod that has them."""

    def __init__(self, folder):
        self.volume = Projected(folder / "config files")
        self.dms = folder / "docker-mailserver"
        self.dms.mkdir()

    def configure(self, **files):
        """Set files of the ConfigMap; None takes one away.  A "__" in a name is a slash."""
        self.volume.write({name.replace("__", "/"): text if text is None else text.encode()
                           for name, text in files.items()})

    def run(self, hook=None):
        # As templates/_pod.tpl has it: the text is bash's, the first argument its name.
        return subprocess.run(
            ["/bin/bash", "-c", SCRIPT.read_text(), "prepare.sh", self.volume.path, str(self.dms)]
            + ([hook] if hook else []), cwd="/", capture_output=True, text=True, timeout=30)

    def start(self, hook=None):
        done = self.run(hook)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    def put(self, name, text):
        path = self.dms / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def found(self):
        """{path: what a program reads there, or "-> TARGET" where that is nothing} of every file."""
        result = {}
        for path in sorted(self.dms.rglob("*")):
            name = str(path.relative_to(self.dms))
            if path.is_file():
                result[name] = path.read_text()
            elif path.is_symlink():
                result[name] = f"-> {os.readlink(path)}"
        return result

    def layout(self):
        """Every entry of the folder with its kind, target or bytes."""
        return {str(path.relative_to(self.dms)):
                os.readlink(path) if path.is_symlink() else path.is_dir() or path.read_bytes()
                for path in sorted(self.dms.rglob("*"))}


@pytest.fixture
def pod(tmp_path):
    made = Pod(tmp_path)
    made.volume.write({"first": b"1\n"})
    made.configure(first=None)
    return made


def test_no_files_do_nothing(pod):
    pod.put("postfix-accounts.cf", "accounts")
    assert pod.start() == ""
    assert pod.layout() == {"postfix-accounts.cf": b"accounts"}


def test_files_are_links_to_the_mounted_folder(pod):
    pod.configure(**{"postfix-main.cf": "a = b\n", "dovecot.cf": "c = d\n"})
    said = pod.start()
    assert pod.layout() == {"postfix-main.cf": f"{pod.volume.path}/postfix-main.cf",
                            "dovecot.cf": f"{pod.volume.path}/dovecot.cf"}
    assert pod.found() == {"postfix-main.cf": "a = b\n", "dovecot.cf": "c = d\n"}
    assert f"prepare: dovecot.cf: from {pod.volume.path}\n" in said


def test_files_in_folders(pod):
    pod.put("rspamd/override.d/mine.conf", "mine")
    pod.configure(rspamd__override_d__x="1", opendkim__keys__a__k="2", opendkim__keys__b__k="3")
    pod.start()
    assert pod.found() == {"rspamd/override.d/mine.conf": "mine", "rspamd/override_d/x": "1",
                           "opendkim/keys/a/k": "2", "opendkim/keys/b/k": "3"}
    assert not (pod.dms / "opendkim").is_symlink()  # docker-mailserver writes there, too


@pytest.mark.parametrize("name", ["with a space", "two  spaces ", "-n", "a'b\"c", "back\\slash",
                                  "line\nfeed", "$(touch x)", "*", ".hidden", "a..b"])
def test_names(pod, name):
    pod.put(name, "kept")
    pod.volume.write({name: b"configured", f"folder of/{name}": b"inside"})
    pod.start()
    assert pod.found() == {name: "configured", f"{name}.kept": "kept", f"folder of/{name}": "inside"}
    pod.volume.write({name: None, f"folder of/{name}": None, "other": b""})
    pod.start()
    assert pod.found() == {name: "kept", "other": ""}


def test_generations_behind_the_links_are_not_linked(pod):
    pod.configure(a="1", b__c="2")
    pod.configure(a="3")
    pod.start()
    assert set(pod.layout()) == {"a", "b", "b/c"}


def test_a_swap_is_seen_through_the_links(pod):
    pod.configure(**{"dovecot.cf": "old", "rspamd__x": "old"})
    pod.start()
    before = pod.layout()
    pod.configure(**{"dovecot.cf": "new", "rspamd__x": "new"})
    assert pod.found() == {"dovecot.cf": "new", "rspamd/x": "new"}
    assert pod.layout() == before


def test_twice_is_once(pod):
    pod.put("a", "mine")
    pod.put("user-patches.sh", "patches")
    pod.configure(a="1", b__c="2")
    pod.start(HOOK)
    before = pod.layout()
    for _ in range(3):
        pod.start(HOOK)
        assert pod.layout() == before


def test_a_file_that_is_there_is_kept_and_comes_back(pod):
    pod.put("postfix-accounts.cf", "made by setup")
    pod.configure(**{"postfix-accounts.cf": "configured"})
    assert "postfix-accounts.cf: there already: kept as postfix-accounts.cf.kept\n" in pod.start()
    assert pod.found() == {"postfix-accounts.cf": "configured",
                           "postfix-accounts.cf.kept": "made by setup"}
    pod.configure(**{"postfix-accounts.cf": None})
    assert pod.found()["postfix-accounts.cf"].startswith("-> ")  # the pod has not started anew yet
    pod.start()
    assert pod.layout() == {"postfix-accounts.cf": b"made by setup"}


def test_a_file_that_goes_leaves_nothing(pod):
    pod.configure(a="1", b__c="2", d="3")
    pod.start()
    pod.configure(a=None, b__c=None)
    pod.start()
    assert pod.found() == {"d": "3"}


def test_a_folder_in_the_place_of_a_file_is_kept(pod):
    pod.put("thing/inside", "x")
    pod.configure(thing="configured")
    pod.start()
    assert pod.found() == {"thing": "configured", "thing.kept/inside": "x"}
    pod.configure(thing=None)
    pod.start()
    assert pod.found() == {"thing/inside": "x"}


def test_a_file_in_the_place_of_a_folder_is_an_error_that_names_it(pod):
    pod.put("rspamd", "a file")
    pod.configure(rspamd__x="1")
    done = pod.run()
    assert done.returncode != 0
    assert f"{pod.dms}/rspamd" in done.stderr
    assert pod.found() == {"rspamd": "a file"}


def test_what_replaced_a_link_is_kept_beside_what_was_kept_before(pod):
    """docker-mailserver's setup deletes an account by sed -i, which makes a file of the link."""
    pod.put("postfix-accounts.cf", "made by setup\n")
    pod.configure(**{"postfix-accounts.cf": "a|x\nb|y\n"})
    pod.start()
    subprocess.run(["sed", "-i", "/^b/d", str(pod.dms / "postfix-accounts.cf")], check=True)
    assert not (pod.dms / "postfix-accounts.cf").is_symlink()
    pod.start()
    assert pod.found() == {"postfix-accounts.cf": "a|x\nb|y\n",
                           "postfix-accounts.cf.kept": "a|x\n",
                           "postfix-accounts.cf.kept.~1~": "made by setup\n"}


def test_what_replaces_a_link_at_every_start_does_not_pile_up(pod):
    """docker-mailserver turns CR LF into LF by sed -i."""
    pod.put("postfix-main.cf", "mine")
    pod.configure(**{"postfix-main.cf": "a = b\r\n"})
    for _ in range(4):
        pod.start()
        subprocess.run(["sed", "-i", "s/\r//", str(pod.dms / "postfix-main.cf")], check=True)
    pod.start()
    assert pod.found() == {"postfix-main.cf": "a = b\n", "postfix-main.cf.kept": "a = b\n",
                           "postfix-main.cf.kept.~1~": "mine"}


def test_a_link_to_nowhere_is_kept_like_a_file(pod):
    (pod.dms / "a").symlink_to("/nowhere")
    pod.configure(a="1")
    pod.start()
    assert pod.found() == {"a": "1", "a.kept": "-> /nowhere"}
    pod.configure(a=None)
    pod.start()
    assert pod.layout() == {"a": "/nowhere"}


def test_links_of_others_stay(pod):
    (pod.dms / "mine").symlink_to("/etc/hostname")
    pod.configure(a="1")
    pod.start()
    pod.configure(a=None)
    pod.start()
    assert pod.layout() == {"mine": "/etc/hostname"}


# Mode init: docker-mailserver's hook.

def test_hook_without_a_script_of_the_users(pod):
    pod.start(HOOK)
    assert pod.layout() == {"user-patches.sh": HOOK}


def test_hook_and_a_script_on_the_claim(pod):
    pod.put("user-patches.sh", "mine")
    pod.start(HOOK)
    assert pod.layout() == {"user-patches.sh": HOOK, "user-patches.own.sh": b"mine"}


def test_hook_and_a_script_of_the_config_map(pod):
    pod.configure(**{"user-patches.sh": "mine"})
    pod.start(HOOK)
    assert pod.layout() == {"user-patches.sh": HOOK,
                            "user-patches.own.sh": f"{pod.volume.path}/user-patches.sh"}
    pod.configure(**{"user-patches.sh": "newer"})
    assert pod.found()["user-patches.own.sh"] == "newer"
    pod.configure(**{"user-patches.sh": None})
    pod.start(HOOK)
    assert pod.layout() == {"user-patches.sh": HOOK}


def test_hook_and_scripts_on_both(pod):
    pod.put("user-patches.sh", "on the claim")
    pod.configure(**{"user-patches.sh": "configured"})
    for _ in range(2):
        pod.start(HOOK)
        assert pod.layout() == {"user-patches.sh": HOOK, "user-patches.sh.kept": b"on the claim",
                                "user-patches.own.sh": f"{pod.volume.path}/user-patches.sh"}
    pod.configure(**{"user-patches.sh": None})
    pod.start(HOOK)
    assert pod.layout() == {"user-patches.sh": HOOK, "user-patches.own.sh": b"on the claim"}


@pytest.mark.parametrize("configured", [False, True])
def test_from_init_to_another_mode_and_back(pod, configured):
    if configured:
        pod.configure(**{"user-patches.sh": "mine"})
    else:
        pod.put("user-patches.sh", "mine")
    pod.start()
    other_mode = pod.layout()
    pod.start(HOOK)
    init = pod.layout()
    assert init["user-patches.sh"] == HOOK
    pod.start()
    assert pod.layout() == other_mode
    assert pod.found()["user-patches.sh"] == "mine"
    pod.start(HOOK)
    assert pod.layout() == init


def test_from_init_without_a_script_leaves_nothing(pod):
    pod.start(HOOK)
    pod.start()
    assert pod.layout() == {}


def test_two_scripts_of_the_users_are_refused_and_both_stay(pod):
    pod.put("user-patches.sh", "one")
    pod.put("user-patches.own.sh", "two")
    done = pod.run(HOOK)
    assert done.returncode == 1
    assert done.stderr == (f"prepare: {pod.dms}/user-patches.sh and {pod.dms}/user-patches.own.sh "
                           "are both there: make one of them\n")
    assert pod.layout() == {"user-patches.sh": b"one", "user-patches.own.sh": b"two"}
    pod.start()  # in another mode the second one is nothing to us
    assert pod.layout() == {"user-patches.sh": b"one", "user-patches.own.sh": b"two"}


def test_shellcheck():
    done = subprocess.run(["shellcheck", "-s", "bash", str(SCRIPT)], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0, done.stdout
