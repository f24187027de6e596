"""The README's figures are those that the benchmark wrote."""

import pytest

from benchmarks import figures
from docs.readme import with_block

pytestmark = pytest.mark.skipif(not figures.PAGE.exists(), reason="make figures has not been run")


def test_the_readme_holds_the_figures_of_the_benchmark():
    readme = figures.README.read_text(encoding="utf-8")
    assert with_block(readme, "figures", figures.PAGE.read_text(encoding="utf-8")) == readme


def test_the_figures_name_the_commands_that_were_run():
    page = figures.PAGE.read_text(encoding="utf-8")
    for flags in figures.LIFECYCLES.values():
        assert f"`{' '.join(['python lifecycle.py', *flags])}`" in page
