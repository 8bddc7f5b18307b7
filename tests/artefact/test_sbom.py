# SPDX-License-Identifier: MIT
"""The bill of materials is what the linker did, and is what CycloneDX's schema wants.

What was linked is observed a second time here, without the map: the program is linked again with
--trace, and must be the same program.  An archive that the linker opened and the bill does not name
has given nothing: with that archive empty, the program is the same again.
"""
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess

import jsonschema
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("POSTERN", ROOT / "build" / "release" / "postern")).parent
LIMIT_S = 300


def run(*command, **options):
    return subprocess.run(list(map(str, command)), check=True, text=True, timeout=LIMIT_S,
                          stdout=subprocess.PIPE, **options).stdout


def write_bill(**options):
    return run(ROOT / "scripts" / "sbom", "--build", BUILD, **options)


@pytest.fixture(scope="module")
def bill():
    return json.loads(write_bill())


def files_of(bill):
    """{path: (package, its file component)}"""
    return {part["name"]: (package, part) for package in bill["components"]
            for part in package.get("components", [])}


def link_again(output, **replaced):
    """The program linked again by the same command; the files that the linker opened."""
    command = run("ninja", "-C", BUILD, "-t", "commands", "postern").splitlines()[-1]
    inner, = re.findall(r"^: && (.*) && :$", command)
    words = [replaced.get(word, word) for word in shlex.split(inner)
             if not word.startswith("-Wl,-Map=")]
    words[words.index("-o") + 1] = str(output)
    said = run(*words, "-Wl,--trace", cwd=BUILD, stderr=subprocess.DEVNULL)
    opened = {line.strip() for line in said.splitlines() if line.startswith("/")}
    return {os.path.realpath(name) for name in opened}


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def more_items(validator, allowed, instance, schema):
    """additionalItems, which jsonschema of Debian 12 cannot put into words when items are objects."""
    listed = schema.get("items")
    if allowed is False and isinstance(listed, list) and validator.is_type(instance, "array") and \
            len(instance) > len(listed):
        yield jsonschema.ValidationError("more items than are allowed")


def test_it_is_valid_by_the_official_schema(bill):
    folder = pathlib.Path(run(ROOT / "scripts" / "lib" / "sbom-schema").strip())
    schemas = {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}
    main = schemas["bom-1.6.SNAPSHOT.schema.json"]
    store = {"http://cyclonedx.org/schema/" + name: schema for name, schema in schemas.items()}
    resolver = jsonschema.RefResolver.from_schema(main, store=store)
    kind = jsonschema.validators.extend(jsonschema.Draft7Validator, {"additionalItems": more_items})
    validator = kind(main, resolver=resolver)
    assert [error.message for error in validator.iter_errors(bill)] == []
    wrong = {**bill, "components": [{"name": "no type"}]}
    assert list(validator.iter_errors(wrong)) != []


def test_it_names_what_the_linker_took_and_nothing_else(bill, tmp_path):
    named = set(files_of(bill))
    again = tmp_path / "again"
    opened = link_again(again)
    assert digest(again) == digest(BUILD / "postern")
    assert any(name.endswith("/libc.a") for name in named)
    assert any(name.endswith("/libconfuse.a") for name in named)
    assert named <= opened
    empty = tmp_path / "empty.a"
    run("ar", "rcs", empty)
    for name in opened - named:
        # Only what is named on the command line can be replaced; crt*.o and gcc's own are named.
        link_again(tmp_path / "without", **{name: str(empty)})
        assert digest(tmp_path / "without") == digest(again), name


def test_an_archive_in_the_bill_is_needed(bill, tmp_path):
    empty = tmp_path / "empty.a"
    run("ar", "rcs", empty)
    libevent = next(name for name in files_of(bill) if name.endswith("/libevent_extra.a"))
    with pytest.raises(subprocess.CalledProcessError):
        link_again(tmp_path / "without", **{libevent: str(empty)})


def test_checksums_and_versions_are_those_of_this_machine(bill):
    for name, (package, part) in files_of(bill).items():
        assert part["hashes"] == [{"alg": "SHA-256", "content": digest(name)}]
        version = run("dpkg-query", "--show", "--showformat", "${Version}\\n",
                      package["name"]).split()
        assert package["version"] in version
    program = bill["metadata"]["component"]
    assert program["hashes"][0]["content"] == digest(BUILD / "postern")
    assert program["version"] == run(BUILD / "postern", "version").split()[1]


def test_each_part_has_a_licence_in_third_party_and_nothing_else_is_there(bill):
    text = (ROOT / "THIRD-PARTY.md").read_text()
    listed = set(re.findall(r"^\| ([\w.+-]+) \|[^|]*\| `", text, re.M))
    linked = [package for package in bill["components"] if package.get("scope") != "excluded"]
    sources = {re.sub(r"^gcc-\d+(-cross)?$", "gcc", prop["value"]) for package in linked
               for prop in package["properties"] if prop["name"] == "postern:source"}
    assert sources == listed
    for package in linked:
        assert "GPL" not in package["licenses"][0]["expression"].replace("LGPL", "") \
            .replace("GPL-3.0-or-later WITH GCC-exception-3.1", ""), package["name"]
    for path in re.findall(r"`(/usr/share/[^`]+)`", text):
        assert os.path.isfile(path), path


def test_two_runs_write_the_same_bytes(tmp_path):
    first = write_bill(env={**os.environ, "TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "86400"})
    second = write_bill(env={**os.environ, "TZ": "UTC", "LC_ALL": "C", "SOURCE_DATE_EPOCH": "86400",
                             "HOME": str(tmp_path)}, cwd=tmp_path)
    assert first == second
    assert json.loads(first)["metadata"]["timestamp"] == "1970-01-02T00:00:00Z"
