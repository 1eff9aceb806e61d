"""heapline export --format flamegraph: an SVG whose frames are the tree's, and which a real browser zooms and searches."""

import re
import sqlite3
import xml.etree.ElementTree

import pytest

import hand_database
from command import ON_DATABASE, run
from export_tools import browser_dump
from hand_database import MIB, total

SVG = "{http://www.w3.org/2000/svg}"
RAW_DECODE = "JSONDecoder.raw_decode (decoder.py:353)"


def export(trace, *arguments):
    result = run(ON_DATABASE, "export", "--format", "flamegraph", *arguments, trace)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


class Frame:
    def __init__(self, group):
        self.lines = group.find(f"{SVG}title").text.split("\n")
        self.name, self.kind = self.lines[0], group.get("class").split()[1]
        self.start, self.amount = int(group.get("data-a")), int(group.get("data-n"))
        rect = group.find(f"{SVG}rect")
        self.row, self.x, self.width = int(rect.get("y")), float(rect.get("x")), float(rect.get("width"))


def read(text):
    """The page's own texts, and its frames."""
    root = xml.etree.ElementTree.fromstring(text)
    frames = [Frame(group) for group in root.iter(f"{SVG}g")]
    return [element.text for element in root.findall(f"{SVG}text")], frames


def test_frames(hand):
    texts, frames = read(export(hand))
    assert texts[0] == "Heap at its peak: 40.0 MiB" and texts[1] == "python3 batch.py --all · pid 4242 · in 808 allocations"
    shown = {frame.name: (frame.amount, frame.kind) for frame in frames}
    assert shown["all"] == (total("peak_bytes"), "other")
    assert shown["main (batch.py:31)"] == (37 * MIB, "user") and shown[RAW_DECODE] == (24 * MIB, "library")
    assert shown["(imports)"] == (2 * MIB, "other") and shown["arena slack"] == (MIB - 1000, "other")
    assert "PyMem_RawMalloc (python3.11)" not in shown # 1000 bytes of 40 MiB
    assert texts[7] == "1 frame narrower than 0.02 % of the whole left out, with what they called."
    decode = next(frame for frame in frames if frame.name == RAW_DECODE)
    assert decode.lines == [RAW_DECODE, "/usr/lib/python3.11/json/decoder.py", "24.0 MiB, 60 % of the total", "in 240 allocations"]


def test_each_frame_lies_below_its_caller(hand):
    _, frames = read(export(hand, "--cost", "allocated", "--all-frames"))
    rows = sorted({frame.row for frame in frames})
    assert len(rows) == 7 and {b - a for a, b in zip(rows, rows[1:])} == {18}
    for frame in frames[1:]:
        assert any(other.row == frame.row - 18 and other.start <= frame.start and frame.start + frame.amount <= other.start + other.amount
                   for other in frames)
        assert abs(frame.x - (10 + frame.start * 1180 / total("allocated_bytes"))) < 0.06
        assert abs(frame.width - (frame.amount * 1180 / total("allocated_bytes") - 0.5)) < 0.06
    for row in rows:
        level = sorted((frame.start, frame.start + frame.amount) for frame in frames if frame.row == row)
        assert all(before[1] <= after[0] for before, after in zip(level, level[1:]))


@pytest.mark.parametrize("cost, title", [
    ("live", "Heap at the end: 3.00 MiB"), ("copied", "Bytes copied: 28.0 MiB"), ("temporary", "Temporary allocations: 402")])
def test_titles_have_units(hand, cost, title):
    assert read(export(hand, "--cost", cost))[0][0] == title


def test_odd_names(tmp_path):
    path = tmp_path / "odd.heapline"
    hand_database.create(path)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE frame SET function = 'a<b>&\"c\" ]]>' || char(27) || 'ä' WHERE frame_id = 2")
    _, frames = read(export(path))
    assert 'a<b>&"c" ]]>?ä (batch.py:31)' in {frame.name for frame in frames}


def test_no_allocation(tmp_path):
    path = tmp_path / "empty.heapline"
    hand_database.create(path)
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM stack_use")
    texts, frames = read(export(path))
    assert texts[0] == "Heap at its peak: 0 B" and [frame.name for frame in frames] == ["all"]


def test_what_a_reader_must_know(tmp_path):
    path = tmp_path / "sampled.heapline"
    hand_database.create(path, sampling_interval_bytes=512 << 10)
    texts, _ = read(export(path))
    assert texts[0] == "Heap at its peak: 40.0 MiB (estimated from a sample)" and texts[7].startswith("sampled, one allocation in 512 KiB on average")


def test_nothing_from_elsewhere(hand):
    text = export(hand)
    assert "href" not in text and "src=" not in text and set(re.findall(r"https?://[^\"'\s]+", text)) == {
        "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"}


SCRIPT = """
const group = name => Array.from(document.querySelectorAll('g.f')).find(g => g.querySelector('title').textContent.startsWith(name));
const said = [];
const say = name => said.push(name + '=' + Math.round(group(name).querySelector('rect').getBoundingClientRect().width) + group(name).style.display);
const type = words => { const input = document.querySelector('input'); input.value = words; input.dispatchEvent(new Event('input'));
                        said.push(document.getElementById('matched').textContent); };
const whole = Math.round(group('all').querySelector('rect').getBoundingClientRect().width);
say('read'); group('read').dispatchEvent(new MouseEvent('click'));
said.push(Math.round(group('read').querySelector('rect').getBoundingClientRect().width) === whole); say('CountVectorizer');
group('all').dispatchEvent(new MouseEvent('click')); say('read');
group('main').dispatchEvent(new MouseEvent('mouseenter')); said.push(document.getElementById('details').textContent);
type('decoder|main'); type('text\\\\.py'); type('('); type('');
document.body.insertAdjacentHTML('beforeend', '<p id=said>' + said.map(s => String(s).replace(/</g, '(')).join('|'));
"""


def test_in_a_browser(hand, tmp_path):
    page = export(hand).split("?>", 1)[1]
    said = re.search(r"<p id=\"said\">([^<]*)", browser_dump(page, SCRIPT, tmp_path)).group(1).split("|")
    before, is_whole, hidden, after, details, *found = said
    assert before == after and before.startswith("read=") and is_whole == "true" and hidden == "CountVectorizer=0none"
    assert details == "main (batch.py:31)  ·  /home/ada/batch.py  ·  37.0 MiB, 92 % of the total  ·  in 307 allocations"
    assert found == ["found in 37.0 MiB, 92.5 %", "found in 12.0 MiB, 30.0 %", "not a regular expression", ""]
