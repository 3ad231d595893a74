"""What docstrings, comments and pages refer to is there: pages, their sections, decisions."""

import ast
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("vidtag_ml", "vidtag_assets", "orchestration")
SOURCES = [path for name in PACKAGES for path in (ROOT / name).rglob("*.py")]
TEXTS = [
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "params").glob("*.yaml"),
    *(ROOT / "vidtag_ml/config/presets").glob("*.yaml"),
    *(ROOT / name for name in ("README.md", "params.yaml", "dvc.yaml", "pyproject.toml", "set-up")),
]
NUMBER = r"\d+(?:\.\d+)*"
PAGE = re.compile(
    rf"([\w/-]*[a-z0-9]\.md)(?:,? sections? ({NUMBER}(?:(?:, | and | to ){NUMBER})*))?"
)
DECISION = re.compile(r"[dD]ecisions?[ /](\d+)(?: and (\d+))?")


def prose(path):
    """Docstrings and comments of Python, the whole text of other files; on one line."""
    text = path.read_text()
    if path.suffix == ".py":
        with path.open("rb") as file:
            tokens = list(tokenize.tokenize(file.readline))
        comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
        alone = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Expr)]
        strings = [str(node.value) for node in alone if isinstance(node, ast.Constant)]
        text = " ".join([*comments, *strings])
    return " ".join(re.split(r"[\s#]+", text))


def page_of(name, path):
    """The page that a name in a file means: from the top, or beside a page of docs."""
    return next((p for p in (ROOT / name, path.parent / name) if p.is_file()), None)


def headings(page):
    return set(re.findall(rf"^#+ ({NUMBER})\b", page.read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", [*SOURCES, *TEXTS], ids=lambda p: str(p.relative_to(ROOT)))
def test_pages_sections_and_decisions_that_are_cited_exist(path):
    text = prose(path)
    for name, numbers in PAGE.findall(text):
        page = page_of(name, path)
        assert page, name
        assert set(re.findall(NUMBER, numbers)) <= headings(page), (name, numbers)
    cited = {int(number) for pair in DECISION.findall(text) for number in pair if number}
    assert cited <= {int(page.name[:4]) for page in (ROOT / "docs/decisions").glob("0*.md")}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_that_docstrings_name_lie_here_or_in_a_folder_above(path):
    folders = [folder for folder in path.parents if ROOT in (folder, *folder.parents)]
    named = re.findall(r"[\w/]+\.py\b", prose(path))
    assert [n for n in named if not any((folder / n).is_file() for folder in folders)] == []
