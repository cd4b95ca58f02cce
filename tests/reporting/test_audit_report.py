from affinage.records.audit import AuditResult
from affinage.records.estimate import Estimate
from affinage.records.finding import Finding, Pair
from affinage.reporting.audit_report import audit_report, audit_verdict, pictures_wanted
from affinage.reporting.html import to_html
from affinage.reporting.markdown import to_markdown

PIXEL = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")


def result(*findings: Finding) -> AuditResult:
    return AuditResult(
        data="d", images=90, rows=100, classes={"<b>": 40, "b": 50}, findings=findings
    )


def guess(n: int = 200) -> Finding:
    return Finding(
        code="wrong-labels",
        severity="warning",
        subject="9 images that may have a wrong label.",
        remedy="affinage relabel DATA --finding wrong-labels",
        images=tuple(f"{i}.png" for i in range(30)),
        ids=tuple(f"{i:064x}" for i in range(30)),
        hit_rate=Estimate(value=0.8, low=0.74, high=0.85, n=n),
    )


def leak() -> Finding:
    pair = Pair(first="a.png", second="b.png", first_id="1" * 64, second_id="2" * 64, score=0.9)
    return Finding(
        code="leaks-across-parts", severity="blocking", subject="They leak.", pairs=(pair,)
    )


def test_the_verdict_is_the_gravest_finding():
    assert audit_verdict(result(leak(), guess())) == (
        "Settle this before you train: They leak.",
        "bad",
    )
    assert audit_verdict(result(guess()))[1] == "caution"
    assert "nothing was found" in audit_verdict(result())[0]


def test_a_guess_says_how_often_such_a_guess_is_right():
    text = to_markdown(audit_report(result(guess())))
    assert "80.0 % of such guesses are right" in text
    assert ", n = 200)" in text
    # The 200 are the guesses themselves: nobody looked at them.
    assert "measured on 200" not in text


def test_pairs_are_wanted_as_pairs_and_many_images_are_cut_to_a_dozen():
    wanted = pictures_wanted(result(leak(), guess()))
    assert wanted[0] == ("1" * 64, "2" * 64)
    assert len(wanted) == 1 + 12


def test_where_not_all_is_pictured_the_page_says_how_to_see_more():
    pictures = {(f"{i:064x}",): PIXEL for i in range(30)}
    text = to_markdown(audit_report(result(guess()), pictures=pictures))
    assert "12 of 30. More: affinage sample DATA" in text.replace("\\", "")


def test_names_in_the_page_are_escaped_and_pictures_are_within_it():
    paths = {"1" * 64: "<script>a.png", "2" * 64: "b.png"}
    page = to_html(
        audit_report(result(leak()), pictures={("1" * 64, "2" * 64): PIXEL}, paths=paths)
    )
    assert "<script>" not in page
    assert "&lt;script&gt;a.png" in page
    assert page.count("<img") == 1


def test_a_finding_without_pictures_is_told_in_words():
    assert "They leak." in to_html(audit_report(result(leak())))
