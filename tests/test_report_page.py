"""The report page: one file that asks for nothing, in which every text stays text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from memstudy.report.page.safety import json_text
from tests import results

HOSTILE = "</script><b>$x$ \u2028 & 'quoted'"


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    """A copy of the committed runs, and what was derived of them."""
    return results.copied(tmp_path_factory.mktemp("page"))


def test_data_in_a_script_cannot_end_it():
    text = json_text({HOSTILE: [HOSTILE]})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {HOSTILE: [HOSTILE]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text(float("nan"))


def test_the_page_of_the_quick_study_is_one_small_file(command, stored):
    called = ["report", "--study", "quick", "--runs-dir", str(stored)]
    done = command(*called, "--json")
    assert done.exit_code == 0, done.output
    path = stored / "studies" / "quick" / "report.html"
    summary = json.loads(done.stdout)
    assert summary["report"] == str(path)
    content = path.read_bytes()
    assert len(content) == summary["bytes"] < 5_000_000
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", content.decode().partition("<script>")[0])
    assert command(*called).exit_code == 0
    assert path.read_bytes() == content
