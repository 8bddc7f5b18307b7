# SPDX-License-Identifier: MIT
"""What a running postern tells - metrics, fields of the status, outcomes - and when it acts."""
import re

from documents import CONF_MANUAL, MANUAL, README, SECURITY, fenced, listed, section, sentence
from program import SIDECAR, run


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
    limit = number("STATUS_CLIENT_LIMIT_S")
    assert limit == 5 and "answers within five seconds" in manual
    given = [int(seconds) for seconds in re.findall(r"timeoutSeconds: (\d+)", readme)]
    assert given and min(given) > limit, "kubelet gives up before the probe does"
    for page in (CONF_MANUAL, SECURITY):
        assert f"ith {number('DESCRIPTORS_MAX')} descriptors in use, or half" in \
            sentence(page.read_text()), page
    assert f"`--grace` seconds ({number('GRACE_S')})" in readme
    assert f"from 0 to {number('GRACE_S_MAX')}; the default is {number('GRACE_S')}" in manual
    assert f"at most {number('VOLUME_DIGEST_FILES_MAX')} files and 16 MiB" in \
        sentence(CONF_MANUAL.read_text())
    assert "VOLUME_DIGEST_BYTES_MAX = 16 * 1024 * 1024" in text
