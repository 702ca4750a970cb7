"""Files of tiers: read whole, or refused with the number of each wrong line."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from tiercast_shared.contracts.tiers import Tier
from tiercast_tiers.tier_csv import read_sheet


def read(text: str):
    return read_sheet(io.StringIO(text, newline=""))


def test_columns_may_be_in_any_order_and_a_reason_left_out():
    sheet = read('tier,user_id,reason\r\npro,"auth0|a,b",paid\r\nelite,bob,\r\n')
    assert sheet.problems == []
    assert [(line.user_id, line.tier, line.reason) for line in sheet.lines] == [
        ("auth0|a,b", Tier.PRO, "paid"),
        ("bob", Tier.ELITE, "imported"),
    ]
    assert [line.reason for line in read("user_id,tier\na,pro\n").lines] == ["imported"]


def test_every_wrong_line_is_named():
    text = 'user_id,tier\na,pro\nb,gold\nc\n,pro\na,elite\nd,pro,x\n"e\ne",pro\n'
    problems = read(text).problems
    assert [problem.split(":")[0] for problem in problems] == [f"line {n}" for n in (3, 4, 5, 6, 7, 9)]
    assert "tier:" in problems[0]
    assert "has 1 cells where the header has 2" in problems[1]
    assert "a was named in line 2 already" in problems[3]


def test_the_header_is_named_when_it_is_wrong():
    for header in ("", "a,pro", "user_id", "user_id,tier,colour", "user_id,tier,tier"):
        sheet = read(f"{header}\nalice,pro\n")
        assert sheet.lines == []
        assert "line 1: the header must be user_id,tier" in sheet.complaint()


def test_a_broken_quote_is_named():
    assert read('user_id,tier\na,pro\n"b,pro\n').problems


def test_of_a_thousand_wrong_lines_some_are_shown():
    complaint = read("user_id,tier\n" + "a\n" * 1000).complaint()
    assert complaint.count("\n") == 21
    assert complaint.endswith("and 980 more")


@given(st.text())
def test_no_text_breaks_the_reader(text):
    sheet = read(text)
    assert sheet.problems or all(line.user_id for line in sheet.lines)


@given(st.text())
def test_no_text_below_a_right_header_breaks_the_reader(text):
    sheet = read(f"user_id,tier\n{text}")
    assert all(problem.startswith("line ") for problem in sheet.problems)


USER_IDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=50)


@given(st.dictionaries(USER_IDS, st.sampled_from([*Tier])))
def test_what_a_spreadsheet_writes_is_read(tiers):
    written = io.StringIO(newline="")
    rows = csv.writer(written)
    rows.writerow(["user_id", "tier"])
    rows.writerows((user_id, tier.value) for user_id, tier in tiers.items())
    sheet = read(written.getvalue())
    assert sheet.problems == []
    assert {line.user_id: line.tier for line in sheet.lines} == tiers
