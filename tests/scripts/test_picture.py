"""The README's pictures: what stood on the terminal is what is drawn."""

from scripts.picture import chapters, drawn, settled

RULE = "─" * 20


def test_colours_stay_and_line_ends_of_a_terminal_are_line_ends():
    assert settled("\x1b[1mone\x1b[0m\r\ntwo\r\n") == ["\x1b[1mone\x1b[0m", "two", ""]


def test_a_spinner_leaves_nothing_behind():
    spun = "before\r\n⠋ starting\r\x1b[2K⠙ starting\r\x1b[1A\x1b[2K\x1b[?25hbefore\r\nafter\r\n"
    assert [line for line in settled(spun) if line] == ["before", "after"]


def test_a_picture_holds_its_chapters_and_no_others():
    lines = [
        f"1  One {RULE}",
        "a",
        "",
        f"2  Two {RULE}",
        "b",
        f"3  Three {RULE}",
        "c",
        f"{RULE} Everything was stopped {RULE}",
    ]
    assert chapters(lines, 1, 1) == lines[:2]
    assert chapters(lines, 2, 3) == lines[3:7]


def test_a_drawing_holds_the_text_and_loads_nothing():
    svg = drawn(["\x1b[32m$\x1b[0m tidegate release <status> & more"], "A title", "demo.svg")
    assert "&lt;status&gt;" in svg
    assert "A&#160;title" in svg or "A title" in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
    assert "@font-face" not in svg
