"""Hooks for mkdocs to show pages from outside docs/: the README as the start page, benchmarks, examples, operations.

Links are written for the repository, where `../benchmarks/taxi.md` leads out of docs/. On the site these pages are next to those of docs/.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
FROM_THE_NETWORK = re.compile(r"""<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//""")
OUTSIDE = (
    "benchmarks/*.md",
    "examples/*.ipynb",
    "examples/nyc_taxi/README.md",
    "ops/README.md",
    "data/README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE",
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside docs/, each at its path in the repository."""
    files.append(File.generated(config, "index.md", abs_src_path=str(ROOT / "README.md")))
    for path in (found for pattern in OUTSIDE for found in sorted(ROOT.glob(pattern))):
        files.append(File.generated(config, str(path.relative_to(ROOT)), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Adapt links from the repository to the site."""
    if page.file.src_uri == "index.md":
        return re.sub(r"\]\(docs/", "](", markdown)
    return re.sub(r"\]\(\.\./(?!\.)", "](", markdown) if "/" not in page.file.src_uri else markdown


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Reject a page that loads from the network.

    Raises:
        PluginError: it does.
    """
    if found := FROM_THE_NETWORK.search(output):
        raise PluginError(f"{page.file.src_uri} loads from the network: {found[0]}: disable it in mkdocs.yml")
    return output
