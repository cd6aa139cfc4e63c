"""check.py: a file of the user's, its errors as theirs, the hint, the score, and the same numbers again."""

import numpy as np
import pytest

from parity_tests.commands.commands import document, refused, run

MINE = """
import numpy as np
import torch

def forward(params, inputs):
    z = inputs["x"] @ params["w"]
    a = torch.tanh(z)
    return (a ** 2).mean(), {"z": z, "a": a}

def backward(params, inputs):
    a = np.tanh(inputs["x"] @ params["w"])
    da = 2 * a / a.size
    dz = da * (1 - a@POWER@)
    return (a ** 2).mean(), {"w": inputs["x"].T @ dz}, {"da": da, "dz": dz}

def make_inputs(rng):
    n, d = rng.permutation([3, 4, 5])[:2]
    return {"w": rng.normal(size=d)}, {"x": rng.normal(size=(n, d))}
"""
RIGHT, WRONG = MINE.replace("@POWER@", " ** 2"), MINE.replace("@POWER@", "")


@pytest.fixture
def file(tmp_path):
    def write(text, name="mine.py"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_right_and_wrong(capsys, file):
    status, out, err = run(capsys, "check", file(RIGHT))
    assert (status, err) == (0, "")
    assert out.startswith("RIGHT")
    status, out, err = run(capsys, "check", file(WRONG))
    assert (status, err) == (1, "")
    assert out.startswith("WRONG: dz goes wrong first (backward)")
    assert "ACT-WRONG-FORMULA" in out
    assert "line 7: a = torch.tanh(z)" in out


def test_the_hint_says_the_place_and_nothing_else(capsys, file):
    status, out, _ = run(capsys, "check", file(WRONG), "--hint")
    assert status == 1
    assert out.splitlines() == ["WRONG: look at dz (backward); all before it that is handed in is right"]


def test_a_file_that_ends_itself_is_not_right(capsys, file):
    ends = RIGHT.replace("    return (a ** 2).mean(), {", "    raise SystemExit(0)\n    return (a ** 2).mean(), {")
    assert "calls exit" in refused(capsys, "check", file(ends))
    assert "calls exit" in refused(capsys, "check", file("import sys\nsys.exit()"))


def test_what_cannot_be_called_as_it_is(capsys, file):
    said = refused(capsys, "check", file(RIGHT.replace("make_inputs(rng)", "make_inputs()")))
    assert "make_inputs() takes 0 positional arguments" in said
    assert "make_inputs(rng)" in said


def test_bytes_that_are_no_text(capsys, tmp_path):
    path = tmp_path / "null.py"
    path.write_bytes(b"x = 1\0\n")
    assert "null bytes" in refused(capsys, "check", path)
    assert f"{tmp_path}: no file" in refused(capsys, "check", tmp_path)


def test_a_saved_case_of_another_file(capsys, file, tmp_path):
    params = "\nparams, inputs = make_inputs(np.random.default_rng(1))\n"
    mine, saved = file(RIGHT + params), tmp_path / "case.npz"
    assert run(capsys, "check", mine, "--save", saved)[0] == 0
    assert run(capsys, "check", mine, "--replay", saved)[0] == 0
    np.savez(saved, **{"params/v": np.ones(3), "inputs/x": np.ones((4, 3))})
    said = refused(capsys, "check", mine, "--replay", saved)
    assert "has params v" in said
    assert "has w" in said


def test_nothing_but_a_case_is_overwritten(capsys, file, tmp_path):
    mine = file(RIGHT)
    assert "is not overwritten" in refused(capsys, "check", mine, "--save", mine)
    assert mine.read_text(encoding="utf-8") == RIGHT
    assert "is not overwritten" in refused(capsys, "check", mine, "--save", tmp_path)
    saved, link = tmp_path / "case.npz", tmp_path / "link.npz"
    link.symlink_to(saved)
    for _ in range(2):
        assert run(capsys, "check", mine, "--save", link)[0] == 0
    assert link.is_symlink()
    assert saved.is_file()


def test_a_class_that_looks_itself_up_in_its_module(capsys, file):
    text = "from __future__ import annotations\nfrom dataclasses import dataclass\n" + RIGHT
    with_class = text.replace(
        "    a = np.tanh", "    @dataclass\n    class Cache:\n        a: float\n    a = np.tanh", 1
    )
    assert run(capsys, "check", file(with_class))[0] == 0


def test_the_score_of_what_is_wrong_is_below_one(capsys, file):
    kept = RIGHT.replace("    dz =", "    KEPT.append(1)\n    dz = len(KEPT) *").replace(
        "def make", "KEPT = []\ndef make"
    )
    status, out, _ = run(capsys, "check", file(kept), "--json")
    assert status == 1
    assert document(out)["results"]["score"] < 1
    narrow = "    params, inputs = ({n: a.astype(np.float32) for n, a in d.items()} for d in (params, inputs))\n"
    single = RIGHT.replace("def backward(params, inputs):\n", "def backward(params, inputs):\n" + narrow)
    status, out, _ = run(capsys, "check", file(single), "--json")
    assert (status, document(out)["results"]["score"]) == (0, 1.0)


def test_json_has_a_score(capsys, file):
    status, out, _ = run(capsys, "check", file(WRONG), "--json")
    found = document(out)
    assert (status, found["verdict"], found["results"]["first_wrong"]) == (1, "wrong", "dz")
    assert found["results"]["causes"][0]["id"] == "ACT-WRONG-FORMULA"
    assert 0 < found["results"]["score"] < 1
    status, out, _ = run(capsys, "check", file(RIGHT), "--json")
    assert (status, document(out)["results"]["score"]) == (0, 1)


def test_saved_inputs_are_checked_again(capsys, file, tmp_path):
    saved = tmp_path / "case.npz"
    _, first, _ = run(capsys, "check", file(WRONG), "--save", saved)
    with np.load(saved) as arrays:
        assert set(arrays.files) == {"params/w", "inputs/x"}
    no_inputs = WRONG[: WRONG.index("def make_inputs")]
    status, again, _ = run(capsys, "check", file(no_inputs), "--replay", saved)
    assert status == 1
    assert [line for line in again.splitlines() if "largest error" in line] == [
        line for line in first.splitlines() if "largest error" in line
    ]


def test_what_hides_the_mistake_is_replaced_and_saved(capsys, file, tmp_path):
    saved = tmp_path / "case.npz"
    hiding = WRONG + "\nparams, inputs = {'w': np.zeros(4)}, {'x': np.ones((3, 4))}\n"
    status, out, _ = run(capsys, "check", file(hiding), "--save", saved)
    assert status == 1
    assert "the given inputs hide the mistake" in out
    with np.load(saved) as arrays:
        assert arrays["params/w"].any()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def forward(:\n", "mine.py:1: SyntaxError"),
        (RIGHT.replace("np.tanh(inputs", "np.tanh(input"), "mine.py:11: in backward: TypeError"),
        (RIGHT.replace("def backward", "def other"), "does not define backward"),
        (RIGHT.replace('{"w": inputs["x"].T @ dz}', "{}"), "no entry for w"),
        (RIGHT.replace("torch.tanh(z)", "z.tanh_()"), "in place"),
    ],
)
def test_errors_are_the_users_with_their_line(capsys, file, text, said):
    assert said in refused(capsys, "check", file(text))


def test_wrong_use(capsys, file, tmp_path):
    assert "no file was given" in refused(capsys, "check")
    assert "there is no such file" in refused(capsys, "check", tmp_path / "none.py")
    assert "leave one of the two out" in refused(capsys, "check", file(RIGHT), "--self-test")
    assert "cannot be read as .npz" in refused(capsys, "check", file(RIGHT), "--replay", file("no", "a.npz"))
    assert "cannot be written" in refused(capsys, "check", file(RIGHT), "--save", tmp_path / "none" / "a.npz")
    np.savez(tmp_path / "other.npz", w=np.ones(3))
    assert "holds 'w'" in refused(capsys, "check", file(RIGHT), "--replay", tmp_path / "other.npz")


def test_what_the_file_prints_and_imports_is_its_own_affair(capsys, file):
    file("factor = 2\n", "helper_of_mine.py")
    noisy = "import helper_of_mine\nprint('hello')\n" + RIGHT.replace("2 * a", "helper_of_mine.factor * a")
    status, out, err = run(capsys, "check", file(noisy), "--json")
    assert (status, document(out)["verdict"]) == (0, "right")
    assert "hello" in err


def test_the_hint_keeps_the_cause_in_json_too(capsys, file):
    _, out, _ = run(capsys, "check", file(WRONG), "--json", "--hint")
    assert set(document(out)["results"]) == {"ok", "first_wrong", "stage", "score"}
