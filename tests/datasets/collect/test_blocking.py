import pytest
from yarl import URL

from affinage.datasets.collect.blocking import Blocklist, read_patterns
from affinage.errors import DataError


@pytest.mark.parametrize(
    ("pattern", "blocked", "free"),
    [
        (
            "mycoportal.org",
            ["http://mycoportal.org/a", "https://www.mycoportal.org/a", "http://x.y.mycoportal.org"],
            ["http://notmycoportal.org/a", "http://mycoportal.org.example/a"],
        ),
        ("HTTPS://WWW.Host.Example", ["http://host.example/a"], ["http://other.example"]),
        ("*.huh.example", ["http://data.huh.example/a"], ["http://huh.other/a"]),
        ("img*.host.example", ["http://img7.host.example/a"], ["http://host.example/a"]),
        (
            "host.example/thumbs/*",
            ["http://host.example/thumbs/1.jpg", "http://www.host.example/thumbs/a/b"],
            ["http://host.example/full/1.jpg", "http://host.example/Thumbs/1.jpg"],
        ),
        ("host.example/*size=small*", ["http://host.example/a?size=small"], ["http://host.example/a"]),
        ("http://127.0.0.1:8000/", ["http://127.0.0.1/a"], ["http://127.0.0.11/a"]),
        ("host.example:8080/a/*", ["http://host.example/a/b"], ["http://host.example/b"]),
        ("bücher.example", ["http://xn--bcher-kva.example/a"], ["http://bucher.example/a"]),
        ("127.0.0.1", ["http://127.0.0.1:80/a"], ["http://127.0.0.11/a"]),
    ],
)  # fmt: skip
def test_a_pattern_blocks_what_it_says_and_nothing_else(pattern, blocked, free):
    rules = Blocklist([pattern])
    assert all(rules.reason(URL(one)) for one in blocked)
    assert not any(rules.reason(URL(one)) for one in free)


@pytest.mark.parametrize("pattern", ["", "  ", "/thumbs/*", "two words", "http://"])
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(DataError):
        Blocklist([pattern])


def test_patterns_are_read_from_a_file(tmp_path):
    file = tmp_path / "block.txt"
    file.write_text(
        "\ufeff# herbaria\nmycoportal.org\n\n host.example/thumbs/* \n", encoding="utf-8"
    )
    assert read_patterns(file) == ["mycoportal.org", "host.example/thumbs/*"]
    with pytest.raises(DataError, match="cannot be read"):
        read_patterns(tmp_path / "none.txt")
