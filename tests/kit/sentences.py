"""What a refusal is: one sentence, no warning beside it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

from memstudy.cli.progress import Voice
from memstudy.errors import MemstudyError


def refused(call: Callable[[], Any], *words: str) -> str:
    """The sentence with which something is refused, without a warning; it must hold some words."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(MemstudyError) as caught:
            call()
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert all(word in sentence for word in words), sentence
    return sentence


class Sentences(Voice):
    """What would be printed, as text."""

    text = ""

    def say(self, text: str) -> None:
        self.text += text + "\n"

    def tell(self, text: str) -> None:
        self.say(text)
