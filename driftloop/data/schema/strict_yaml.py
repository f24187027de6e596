"""Reads YAML in which no key stands twice: plain YAML keeps the last of them and drops the others without a word."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml


class _Strict(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys: list[Any] = []
        for key, _ in node.value:
            made = self.construct_object(key)
            if made in keys:
                raise yaml.constructor.ConstructorError(None, None, f"{made!r} stands twice", key.start_mark)
            keys.append(made)
        return super().construct_mapping(node, deep)


def load(text: str) -> Any:
    """The value of a YAML text.

    Raises:
        yaml.YAMLError: it is not YAML, or a key stands twice; `problem` says which.

    >>> load("a: {b: 1}")
    {'a': {'b': 1}}
    """
    return yaml.load(text, _Strict)  # a SafeLoader
