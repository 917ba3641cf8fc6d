"""Pages: the fenced blocks of the pages, for the tests that run them.

What: every block with its page, line and language, and a block with the reader's own addresses and keys put in. Why: a test
that runs a copy of a page's block says nothing of the page. It refuses to fill in what the block does not have: the page has
changed then, and the test no longer runs what it says.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
HOWTO = "docs/howto"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    def filled(self, own: Mapping[str, str]) -> str:
        """Its text, with the page's examples replaced by what a reader has instead."""
        missing = [word for word in own if word not in self.text]
        assert not missing, f"{self} no longer says {missing}"
        text = self.text
        for word, mine in own.items():
            text = text.replace(word, mine)
        return text


def fenced(page: str) -> list[Block]:
    """All blocks of a page (its path from the root), in order."""
    source = (ROOT / page).read_text(encoding="utf-8")
    return [Block(page, source.count("\n", 0, m.start()) + 1, m[1], m[2]) for m in FENCE.finditer(source)]


def block(page: str, language: str, number: int = 0) -> Block:
    """One of a page's blocks in a language."""
    return [one for one in fenced(page) if one.language == language][number]
