import pytest

from affinage.auditing.evidence import gather
from affinage.auditing.sizes import odd_aspect, one_size_among_others, tiny_images

from .samples import manifest_of


def found(check, *sizes):
    rows = [
        {"label": "ab"[n % 2], "path": f"{n:03d}", "width": w, "height": h}
        for n, (w, h) in enumerate(sizes)
    ]
    findings = list(check(gather(manifest_of(*rows))))
    return findings[0].images if findings else ()


MIXED = [(400 + 10 * n, 300 + 7 * n) for n in range(30)]
SQUARES = [(100, 100)] * 40


def test_a_tiny_image_is_told_where_the_others_are_not():
    assert found(tiny_images, *MIXED, (60, 48), (50, 40)) == ("031", "030")


def test_the_usual_size_is_told_truly_where_all_share_it():
    rows = [{"label": "ab"[n % 2], "width": 224, "height": 224} for n in range(40)]
    rows.append({"label": "a", "width": 30, "height": 30})
    [finding] = tiny_images(gather(manifest_of(*rows)))
    assert "a shorter side of 224 px or more" in finding.subject


@pytest.mark.parametrize(
    "sizes", [[(32, 32)] * 40, [*[(200, 200)] * 40, (60, 60)], [*MIXED, (90, 68)]]
)
def test_small_images_are_not_tiny_among_their_like(sizes):
    assert found(tiny_images, *sizes) == ()


def test_a_strip_is_told_and_not_as_tiny():
    sizes = [*MIXED, (400, 50)]
    assert found(odd_aspect, *sizes) == ("030",)
    assert found(tiny_images, *sizes) == ()


@pytest.mark.parametrize("size", [(300, 400), (1170, 2532), (1920, 800), (800, 400)])
def test_portraits_screens_and_frames_are_no_strips(size):
    assert found(odd_aspect, *MIXED, size) == ()


def test_strips_among_strips_are_usual():
    assert found(odd_aspect, *[(400, 100)] * 30, (400, 90)) == ()


def test_a_photo_among_crops_of_one_size_is_told():
    assert found(one_size_among_others, *SQUARES, (3024, 3024)) == ("040",)


def test_the_farthest_size_comes_first():
    assert found(one_size_among_others, *SQUARES, (120, 120), (3024, 3024)) == ("041", "040")


def test_a_huge_photo_among_mixed_sizes_is_told_and_another_mixed_one_is_not():
    assert found(one_size_among_others, *MIXED, (6000, 4000)) == ("030",)
    assert found(one_size_among_others, *MIXED, (1200, 800)) == ()


def test_two_usual_sizes_are_no_strangers():
    assert found(one_size_among_others, *SQUARES, *[(120, 120)] * 10) == ()


def test_how_many_share_a_strange_size_is_said():
    rows = [{"label": "a", "width": 100, "height": 100}] * 40
    rows += [{"label": "b", "width": 64, "height": 64}] * 3
    finding = next(one_size_among_others(gather(manifest_of(*rows))))
    assert finding.subject == "3 images of 43 of another size than the 40 of 100 × 100."
    assert finding.evidence[0].endswith("64 × 64 (3 images of that size)")
