"""Cards and pages of experiments: the house's rules, and the files that ship."""

import pytest
from brain_tumor.bundles import CARD, models_folder
from brain_tumor.classification.evaluation import card as classification_card
from brain_tumor.concepts import card as concepts_card
from brain_tumor.errors import FileFormatError
from brain_tumor.model_cards.rendering import (
    EXPERIMENTS,
    Pages,
    card_command,
    environment,
    render,
    wrapped,
)
from brain_tumor.segmentation.cards import subregions, tumor_core, whole_head

REPOSITORY = models_folder().parent
PAGES = {
    "classification": classification_card.pages_of,
    "concepts": concepts_card.pages_of,
    "segmentation": subregions.pages_of,
    "tumor_core": tumor_core.pages_of,
    "whole_head": whole_head.pages_of,
}
SECTIONS = [
    "Use",
    "Input and output",
    "Accuracy",
    "Compared with published figures",
    "Limits",
    "Data and licence",
    "Reproduce",
]


@pytest.fixture(scope="module", params=PAGES)
def shipped(request):
    """Name, bundle and generated pages of a model."""
    bundle = models_folder() / request.param
    return request.param, bundle, PAGES[request.param](bundle)


def test_what_ships_is_what_the_bundle_s_files_make(shipped):
    name, bundle, pages = shipped
    assert pages.name == name
    assert (bundle / CARD).read_text(encoding="utf-8") == pages.card
    page = REPOSITORY / EXPERIMENTS / f"{name}.md"
    assert page.read_text(encoding="utf-8") == pages.experiments


def test_a_card_is_one_page_with_the_house_s_sections(shipped):
    name, _, pages = shipped
    lines = pages.card.splitlines()
    assert len(lines) <= 80
    assert [line[3:] for line in lines if line.startswith("## ")] == SECTIONS
    assert sum(line.startswith("| ---") for line in lines) <= 2
    assert max(len(line) for line in lines if not line.startswith("|")) <= 100
    assert "Not a medical device and not for diagnosis." in pages.card
    assert f"docs/experiments/{name}.md" in pages.card
    assert "\n\n\n" not in pages.card + pages.experiments
    assert "{" not in pages.card


def test_every_table_row_has_the_cells_of_its_header(shipped):
    _, _, pages = shipped
    width = 0
    for line in [*pages.card.splitlines(), "", *pages.experiments.splitlines()]:
        cells = line.count("|") if line.startswith("|") else 0
        assert cells == 0 or width in (0, cells)
        width = cells


def test_a_figure_that_is_missing_makes_no_page():
    with pytest.raises(FileFormatError, match="'sha256' is undefined"):
        render("whole_head_card.md", name="a", version="1", task="b", presence="")


def test_paragraphs_are_set_in_lines_of_a_hundred():
    assert wrapped(f"- {'word ' * 24}end", "  ") == f"- {'word ' * 18}word\n  {'word ' * 5}end"
    assert (
        environment().from_string("{% filter wrapped %}\na\nb\n{% endfilter %}").render() == "a b"
    )


def test_the_command_writes_card_and_experiments(tmp_path):
    bundle, folder = tmp_path / "bundle", tmp_path / "told" / "experiments"
    assert (
        card_command(
            lambda _: Pages("toy", "# Toy\n", "# All of it\n"),
            [str(bundle), "--experiments", str(folder)],
        )
        == 0
    )
    assert (bundle / CARD).read_text(encoding="utf-8") == "# Toy\n"
    assert (folder / "toy.md").read_text(encoding="utf-8") == "# All of it\n"
