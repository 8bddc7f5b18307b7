# SPDX-License-Identifier: MIT
"""YAML, with what readers let pass: a key that is there twice is refused."""
import yaml


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Takes no key twice."""


def _mapping(loader, node):
    seen = set()
    for key, _ in node.value:
        name = loader.construct_object(key, deep=True)
        if name in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"{name!r} is there twice", key.start_mark)
        seen.add(name)
    loader.flatten_mapping(node)
    return {loader.construct_object(key, deep=True): loader.construct_object(value, deep=True)
            for key, value in node.value}


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load(text):
    return yaml.load(text, Loader)
