"""The `course` command from outside: exit codes, messages, what it loads."""

import json
import subprocess
import sys

import pytest

from course_utils.cli import main, names, output


def call(*arguments: str) -> int:
    try:
        return main.main(arguments)
    except SystemExit as exit_:
        return int(exit_.code or 0)


def test_help_and_import_load_no_heavy_library() -> None:
    heavy = ("torch", "datasets", "transformers", "matplotlib", "numpy", "rich.table", "nbformat", "accelerate")
    shows_help = "import course_utils.cli.main as m\ntry: m.main({})\nexcept SystemExit as end: assert not end.code"
    for code in ("import course_utils", shows_help.format("['--help']"), shows_help.format("['train', '--help']")):
        script = f"{code}\nimport sys\nprint('LOADED', [name for name in {heavy} if name in sys.modules])"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "LOADED []", code


def test_help_names_every_sub_command(capsys: pytest.CaptureFixture) -> None:
    assert call("--help") == 0
    text = capsys.readouterr().out
    for name in (
        "list",
        "train",
        "sample",
        "evaluate",
        "experiment",
        "check",
        "reset",
        "submit",
        "notebooks",
        "release",
        "doctor",
    ):
        assert f"• {name} " in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("trian", "vae-glyphs"), "course: no sub-command is called 'trian'; did you mean 'train'?"),
        (("notebooks", "02_vea"), "course: no notebook is called '02_vea'; did you mean '02_vae'?"),
        (("notebooks", "--scale", "huge"), "smoke"),
        (("train",), "NAME"),
        (("list", "--jsn"), "--json"),
        (("sample", "x", "--num", "many"), "many"),
        ((), "list"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_says_what_is_wrong(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture
) -> None:
    assert call(*arguments) == 2
    written = capsys.readouterr()
    assert said in written.err
    assert "Traceback" not in written.err
    assert written.out == ""


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (names.Failure("no space left"), 1, "course: no space left\n"),
        (names.UsageError("no such thing"), 2, "course: no such thing\n"),
        (ValueError("a bad value"), 1, "course: a bad value\n"),
        (KeyError("missing"), 1, "course: KeyError: 'missing'\n"),
        (KeyboardInterrupt(), 130, "course: interrupted\n"),
    ],
)
def test_errors_become_one_line_and_an_exit_code(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def fail() -> int:
        raise error

    monkeypatch.delenv("COURSE_DEBUG", raising=False)
    monkeypatch.setitem(main.COMMANDS, "release", fail)
    assert call("release") == code
    written = capsys.readouterr()
    assert written.err == said
    assert written.out == ""


def test_debug_shows_where_an_error_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise ValueError("deep inside")

    monkeypatch.setitem(main.COMMANDS, "release", fail)
    with pytest.raises(ValueError, match="deep inside"):
        main.main(["release", "--debug"])
    monkeypatch.setenv("COURSE_DEBUG", "1")
    with pytest.raises(ValueError, match="deep inside"):
        main.main(["release"])


def test_scale_of_the_command_line_reaches_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_SCALE", "cpu")
    main._choose_scale(None)
    assert main.os.environ["COURSE_SCALE"] == "cpu"
    main._choose_scale("smoke")
    assert main.os.environ["COURSE_SCALE"] == "smoke"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("vae-glyhps", "did you mean 'vae-glyphs'"),
        ("VAE-SCENES", "did you mean 'vae-scenes'"),
        ("glyph-j", "did you mean 'glyph-judge'"),
        ("stable-diffusion", "known: vae-glyphs, vae-scenes, glyph-judge"),
    ],
)
def test_unknown_names_get_the_nearest_match(name: str, said: str) -> None:
    known = ["vae-glyphs", "vae-scenes", "glyph-judge"]
    assert names.nearest("vae-scenes", known, "recipe") == "vae-scenes"
    with pytest.raises(names.UsageError, match=said):
        names.nearest(name, known, "recipe")


def test_json_lines_hold_plain_values_only(capsys: pytest.CaptureFixture) -> None:
    rows = [
        {"name": "a", "metrics": {"x": float("nan"), "y": 1.5}, "grid": (1, 2)},
        {"name": "é", "metrics": {}, "grid": ()},
    ]
    output.show(rows, "rows", as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        {"name": "a", "metrics": {"x": None, "y": 1.5}, "grid": [1, 2]},
        {"name": "é", "metrics": {}, "grid": []},
    ]


def test_tables_show_every_value_and_no_rows_say_so(capsys: pytest.CaptureFixture) -> None:
    output.show([{"name": "[a]", "size_mb": 0.123456, "metrics": {"x": 131072.0}, "meets": True, "of": None}], "Things")
    text = capsys.readouterr().out
    for part in ("Things", "[a]", "size mb", "0.1235", "x 131072", "yes"):
        assert part in text
    output.show([{"a": 1}, {"b": "two"}], "Uneven")
    text = capsys.readouterr().out
    for part in ("a", "b", "1", "two"):
        assert part in text
    output.show([], "Things")
    assert capsys.readouterr().out == "Things: nothing yet\n"
