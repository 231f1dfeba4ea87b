"""The documents keep up with the code: links, paths, commands, tests and metrics that they name exist."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("lib", "builder", "operator", "cli", "charts", "cmake", "docs", "hack", "manifests", "tests", "bench")


def files(folder, pattern):
    """Those of the folder and below, but for what npm has installed there."""
    return sorted(
        path for path in folder.rglob(pattern) if "node_modules" not in path.relative_to(folder).parts
    )


DOCUMENTS = sorted([*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in files(ROOT / folder, "*.md"))])
README = ROOT / "README.md"
OPERATIONS = ROOT / "docs/operations.md"

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
CODE_SPAN = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"(?<![\w./-])(?:%s)/[\w./*-]*" % "|".join(FOLDERS))
METRIC_IN_CODE = re.compile(r'\b(?:counter|gauge|histogram)\(\s*"(\w+)"')
METRIC_IN_TABLE = re.compile(r"^\| `(\w+)(?:\{[^}`]*\})?` \| (?:counter|gauge|histogram) \|", re.MULTILINE)
PYTHON_TEST = re.compile(r"test_\w+")
CPP_TEST = re.compile(r"[A-Z]\w+\.[A-Z]\w+")

in_every_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS]
)


def prose(document):
    return FENCE.sub("", document.read_text(encoding="utf-8"))


def blocks(document, language=None):
    found = FENCE.findall(document.read_text(encoding="utf-8"))
    return [text for kind, text in found if language in (None, kind)]


def code_spans(document):
    return CODE_SPAN.findall(prose(document))


def anchors(document):
    """Of each heading, the fragment that links to it, as GitHub makes it."""
    titles = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def exists(path):
    """A path from the root, which may hold * and end a sentence."""
    path = path.rstrip(".")
    return any(ROOT.glob(path.rstrip("/"))) if "*" in path else (ROOT / path).exists()


@in_every_document
def test_relative_links_resolve(document):
    for link in LINK.findall(prose(document)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, fragment = link.partition("#")
        target = (document.parent / path) if path else document
        assert target.exists(), link
        assert not fragment or fragment in anchors(target), link


@in_every_document
def test_paths_in_code_exist(document):
    for text in [*code_spans(document), *blocks(document)]:
        missing = [path for path in PATH.findall(text) if not exists(path)]
        assert not missing, text


@in_every_document
def test_tests_that_are_named_exist(document):
    python = "".join(path.read_text(encoding="utf-8") for path in files(ROOT / "tests", "test_*.py"))
    cpp = "".join(path.read_text(encoding="utf-8") for path in files(ROOT / "tests", "*_test.cpp"))
    for span in code_spans(document):
        if PYTHON_TEST.fullmatch(span):
            assert f"def {span}(" in python, span
        elif CPP_TEST.fullmatch(span):
            assert re.search(r"\bTEST(_F|_P)?\(%s\)" % span.replace(".", r",\s*"), cpp), span


def test_the_readmes_commands_can_be_run():
    commands = [path for block in blocks(README, "sh") for path in re.findall(r"\b(?:hack|tests)/[\w./-]+", block)]
    assert {"hack/quickstart", "hack/test"} <= set(commands)
    for command in commands:
        path = ROOT / command
        assert path.is_file(), command
        assert path.suffix == ".py" or path.stat().st_mode & 0o111, f"{command} is not executable"


def test_the_readme_stays_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 80


def metrics_in_code():
    sources = files(ROOT / "builder", "metrics.cpp")
    return {name for path in sources for name in METRIC_IN_CODE.findall(path.read_text(encoding="utf-8"))}


def test_operations_list_the_metrics_that_there_are():
    assert set(METRIC_IN_TABLE.findall(OPERATIONS.read_text(encoding="utf-8"))) == metrics_in_code()


def test_queries_use_metrics_that_there_are():
    queries = re.sub(r"#.*|\{.*?\}", "", "\n".join(blocks(OPERATIONS, "promql")))
    names = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b(?!\s*\()", queries))
    assert names
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in names} <= metrics_in_code()


def test_every_decision_is_in_the_index():
    folder = ROOT / "docs/decisions"
    listed = LINK.findall((folder / "README.md").read_text(encoding="utf-8"))
    assert listed == sorted(path.name for path in folder.glob("[0-9]*.md"))
