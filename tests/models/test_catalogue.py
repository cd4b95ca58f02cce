from affinage.models.catalogue import catalogue


def test_what_works_offline_comes_first():
    entries = catalogue("*lite0*")
    assert entries[0].name == "tf_efficientnet_lite0"
    assert entries[0].available == "package"
    assert 3_300_000 < entries[0].parameters < 3_500_000


def test_a_part_of_a_name_finds_it():
    assert {"resnet18", "resnet50"} <= {entry.name for entry in catalogue("resnet")}


def test_every_backbone_of_the_tested_timm_is_counted():
    entries = catalogue("*")
    counted = [entry for entry in entries if entry.parameters]
    assert len(entries) > 1000
    assert len(counted) / len(entries) > 0.99
