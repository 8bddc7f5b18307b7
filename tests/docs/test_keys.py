# SPDX-License-Identifier: MIT
"""The keys of postern.conf, their defaults, ranges and words: those of the program."""
import json
import re

import pytest

from documents import (CHANGELOG, CONF_MANUAL, EXAMPLE, MANUAL, README, described_keys, section,
                       sentence, shown_defaults)
from program import all_keys, check, default_text, key_tables, settings_source


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
    for page in (MANUAL, CONF_MANUAL, EXAMPLE, README, CHANGELOG):
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
