from PIL import Image

import affinage


def test_the_demo_writes_all_digits_once(tmp_path):
    written = affinage.demo(tmp_path / "digits")
    files = sorted((tmp_path / "digits").rglob("*.png"))
    assert len(files) == written.images == 1797
    assert {path.parent.name for path in files} == set("0123456789")
    with Image.open(files[0]) as picture:
        assert picture.size == (40, 40)
    before = files[0].stat().st_mtime_ns
    affinage.demo(tmp_path / "digits")
    assert files[0].stat().st_mtime_ns == before
    assert "augment.horizontal_flip=false" in written.settings
