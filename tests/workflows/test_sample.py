import re

import pytest

from affinage.errors import DataError
from affinage.records.finding import Finding
from affinage.workflows.exclude import exclude
from affinage.workflows.sample import sample
from real_digits import write_digits
from sourced_digits import data_set, opened


@pytest.fixture
def data(tmp_path):
    return data_set(tmp_path)


def test_a_sheet_shows_a_random_sample_of_a_site(data):
    result = sample(data.path, where="domain=museum.example", n=6)
    assert (len(result.images), result.among) == (6, 15)
    assert result.classes == {"0": 5, "1": 5, "2": 5}
    assert result.where == ("Domain=museum.example",)
    sites = dict(opened(data.path).manifest.kept.select("image", "Domain").iter_rows())
    assert {sites[one.image] for one in result.images} == {"museum.example"}
    page = (data.path / "samples").glob("*.html").__next__().read_text()
    assert result.sheet.startswith(str(data.path / "samples"))
    assert page.count("data:image/jpeg;base64,") == 6
    assert all(one.path in page for one in result.images)
    assert str(data.path.parent) not in page
    assert not re.search(r"<script|https?://", page)


def test_the_seed_draws_and_a_larger_sample_holds_the_smaller(data):
    def drawn(**how):
        return [one.image for one in sample(data.path, **how).images]

    assert drawn(n=8) == drawn(n=8)
    assert drawn(n=8) == drawn(n=20)[:8]
    assert drawn(n=8) != drawn(n=8, seed=1)
    assert len(drawn(n=100)) == 60


def test_labels_and_paths_are_escaped(tmp_path):
    folder = write_digits(tmp_path / "digits", classes=2, per_class=3)
    (folder / "0").rename(folder / "<script>alert(1)<|script>")
    dataset = opened(folder, tmp_path / "data").dataset
    result = sample(dataset.path, n=6)
    page = next((dataset.path / "samples").glob("*.html")).read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert len(result.images) == 6


def test_what_was_left_out_and_what_a_finding_names_can_be_looked_at(data):
    exclude(data.path, where="label=0")
    assert sample(data.path).among == 40
    assert sample(data.path, excluded=True).classes == {"0": 20}
    with pytest.raises(DataError, match="None of the 20 images is kept") as caught:
        sample(data.path, where="label=0")
    assert "--excluded" in caught.value.remedy
    ids = tuple(opened(data.path).manifest.kept["image"][:3])
    data.save_findings([Finding(code="blank", severity="note", subject="s", ids=ids)])
    assert {one.image for one in sample(data.path, finding="blank").images} == set(ids)


def test_an_image_that_cannot_be_shown_is_told(data, tmp_path):
    lost = opened(data.path).manifest.kept["path"][0]
    (tmp_path / "digits" / lost).unlink()
    result = sample(data.path, n=60)
    [told] = [one for one in result.images if one.problem]
    assert told.path == lost
    assert "vanished" in told.problem
    assert str(tmp_path) not in told.problem
    page = next((data.path / "samples").glob("*.html")).read_text()
    assert page.count("data:image/jpeg;base64,") == 59
    assert "Not shown" in page


def test_the_page_goes_where_it_is_wanted_but_not_among_the_images(data, tmp_path):
    assert sample(data.path, n=2, into=tmp_path / "sheet.html").sheet.endswith("sheet.html")
    assert (tmp_path / "sheet.html").exists()
    assert sample(data.path, n=2, into=tmp_path).sheet.endswith(".html")
    with pytest.raises(DataError, match="only read"):
        sample(data.path, n=2, into=tmp_path / "digits" / "sheet.html")


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ({"n": 0}, "0 images"),
        ({"where": "domain=none"}, "No row has a Domain"),
        ({"finding": "blank"}, "found no 'blank'"),
        ({"finding": "blank", "where": "label=0"}, "A rule and a finding"),
        ({"excluded": True}, "is left out"),
    ],
)
def test_a_sample_that_cannot_be_drawn_is_refused(data, how, problem):
    with pytest.raises(DataError, match=problem):
        sample(data.path, **how)
