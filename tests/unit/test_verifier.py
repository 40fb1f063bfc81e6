from __future__ import annotations

import ast
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import naive_log
from foreproof.core import verifier
from foreproof.core.log import Checkpoint, PrivateKey, PublicKey, encode_leaf, key_body, rotation_body

SOURCE = Path(verifier.__file__)
ORIGIN = "example.org/log"
KEY, NEW, STRANGER = (
    PrivateKey(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(i, i + 32)))) for i in range(3)
)


def head(leaves: list[bytes], size: int, key: PrivateKey = KEY) -> tuple[str, str]:
    """A checkpoint that the key signs over the first leaves, labelled by its size."""
    return f"c{size}", Checkpoint(ORIGIN, size, naive_log.mth(leaves[:size])).sign(key)


def log(count: int) -> list[bytes]:
    """A key leaf and count - 1 others."""
    return [encode_leaf("key", key_body(KEY.public)), *(encode_leaf("n", {"n": n}) for n in range(1, count))]


def faults(
    leaves: list[bytes], checkpoints: list[tuple[str, str]], pinned: str | None = None, agreed: int | None = None
) -> str:
    """The faults of an audit, one a line."""
    report = verifier.audit(leaves, checkpoints, pinned=pinned)
    if agreed is not None:
        assert report.agreed == agreed
    return "\n".join(str(fault) for fault in report.faults)


def test_the_file_needs_python_3_9_and_its_standard_library_only() -> None:
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"), feature_version=(3, 9))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A folder as a third party gets it: the verifier, leaves, two checkpoints and a run of two artefacts."""
    run = tmp_path / "run-7"
    (run / "plots").mkdir(parents=True)
    (run / "plots" / "fan.png").write_bytes(b"picture")
    (run / "manifest.json").write_text(json.dumps({"id": "7f"}), encoding="utf-8")
    names = ("plots/fan.png", "manifest.json")
    artefacts = {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in names}
    leaves = [*log(10), encode_leaf("run", {"run": "7f", "artefacts": artefacts}), encode_leaf("n", {"n": 11})]
    (run / "page.html").write_text("written after the leaf", encoding="utf-8")
    shutil.copy(SOURCE, tmp_path / "verifier.py")
    (tmp_path / "leaves.jsonl").write_bytes(b"".join(leaf + b"\n" for leaf in leaves))
    for size in (5, 12):
        (tmp_path / f"c{size}").write_text(head(leaves, size)[1], encoding="utf-8")
    return tmp_path


def verified(folder: Path, *more: str, python: str = sys.executable) -> tuple[int, str]:
    """Exit code and output of the copied file, run without any installed package."""
    options = ["--log", "leaves.jsonl", "--checkpoint", "c12", "--checkpoint", "c5", *more]
    done = subprocess.run(
        [python, "-I", "-S", "verifier.py", *options], cwd=folder, capture_output=True, encoding="utf-8", check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_an_honest_log_and_run_hold_with_exit_code_0(bench: Path) -> None:
    code, said = verified(bench, "--run", "run-7", "--key", KEY.public.text)
    assert code == 0, said
    assert "12 leaves: everything holds" in said
    assert "run 7f: leaf 10, 2 artefacts as logged" in said
    assert "not named in leaf 10, so not checked: page.html" in said


@pytest.mark.parametrize("version", ["3.9", "3.13"])
def test_the_file_runs_under_other_pythons(bench: Path, version: str) -> None:
    python = shutil.which(f"python{version}")
    probe = [python or "", "-c", "import sys; print(sys.version_info[:2])"]
    if python is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip(f"no python{version} here")
    code, said = verified(bench, "--run", "run-7", python=python)
    assert code == 0, said


def test_a_flipped_byte_of_an_artefact_is_located(bench: Path) -> None:
    (bench / "run-7" / "plots" / "fan.png").write_bytes(b"Picture")
    code, said = verified(bench, "--run", "run-7")
    assert code == 1
    assert "FAULT  artefact plots/fan.png: its sha256 is" in said
    assert said.count("FAULT") == 1


def test_a_missing_artefact_is_located(bench: Path) -> None:
    (bench / "run-7" / "plots" / "fan.png").unlink()
    code, said = verified(bench, "--run", "run-7")
    assert (code, "FAULT  artefact plots/fan.png: is missing; leaf 10 names it" in said) == (1, True)


def test_an_altered_manifest_still_finds_its_leaf_by_the_folders_name(bench: Path) -> None:
    (bench / "run-7").rename(bench / "7f")
    for text in ('{"id": "8a"}', "{", "[]"):
        (bench / "7f" / "manifest.json").write_text(text, encoding="utf-8")
        code, said = verified(bench, "--run", "7f")
        assert (code, "FAULT  artefact manifest.json: its sha256 is" in said) == (1, True)


def test_a_run_without_a_leaf_fails(bench: Path) -> None:
    (bench / "empty").mkdir()
    code, said = verified(bench, "--run", "empty")
    assert (code, "FAULT  run empty: has no leaf in the log" in said) == (1, True)


def test_a_dropped_last_leaf_is_found_with_exit_code_1(bench: Path) -> None:
    lines = (bench / "leaves.jsonl").read_bytes().splitlines(keepends=True)
    (bench / "leaves.jsonl").write_bytes(b"".join(lines[:-1]))
    code, said = verified(bench)
    assert code == 1
    assert "the log has 11 leaves, the checkpoint says 12: 1 leaf dropped; leaves 0..4 agree" in said


def test_unreadable_input_is_exit_code_2(bench: Path) -> None:
    assert verified(bench, "--checkpoint", "absent")[0] == 2
    assert verified(bench, "--run", "absent")[0] == 2
    (bench / "c5").write_bytes(b"\xff\xfe")
    assert verified(bench)[0] == 2
    (bench / "c5").write_text(head(log(5), 5)[1], encoding="utf-8")
    cut = (bench / "leaves.jsonl").read_bytes()[:-1]
    (bench / "leaves.jsonl").write_bytes(cut)
    code, said = verified(bench)
    assert (code, "the last line has no end" in said) == (2, True)


def test_main_answers_like_the_command(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--log", str(bench / "leaves.jsonl"), "--checkpoint", str(bench / "c12")]
    assert verifier.main([*options, "--run", str(bench / "run-7")]) == 0
    assert "everything holds" in capsys.readouterr().out
    (bench / "run-7" / "manifest.json").write_bytes(b"{}")
    (bench / "run-7").rename(bench / "7f")
    assert verifier.main([*options, "--run", str(bench / "7f"), "--key", NEW.public.text]) == 1
    assert "leaf 0: sets the key" in capsys.readouterr().out
    assert verifier.main([*options, "--run", str(bench / "absent")]) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_a_dropped_last_leaf_is_named_where_a_checkpoint_covers_the_rest() -> None:
    leaves = log(12)
    found = faults(leaves[:11], [head(leaves, 12), head(leaves, 11)], agreed=11)
    assert found.endswith("the log has 11 leaves, the checkpoint says 12: the last leaf (index 11) was dropped")
    found = faults(leaves[:9], [head(leaves, 12), head(leaves, 9)], agreed=9)
    assert found.endswith("the last 3 leaves were dropped")
    found = faults(leaves[:9], [head(leaves, 12)], agreed=0)
    assert "3 leaves dropped; what is missing was at index 0 or later" in found


def test_a_rewritten_tail_is_located_between_two_checkpoints() -> None:
    leaves = log(12)
    forged = [*leaves[:9], encode_leaf("n", {"n": 99}), *leaves[10:]]
    found = faults(forged, [head(leaves, 12), head(leaves, 8), head(leaves, 10), head(leaves, 4)], agreed=8)
    first, second = found.splitlines()
    assert (
        "tail rewritten: root at size 10 differs; leaves 0..7 still agree with the older checkpoint of size 8" in first
    )
    assert first.endswith("the first altered leaf is one of leaves 8..9")
    assert second.endswith("(c12): root at size 12 differs as well")
    assert faults(forged, [head(leaves, 9), head(leaves, 10)]).endswith("the first altered leaf is leaf 9")
    assert "no older checkpoint agrees" in faults(forged, [head(leaves, 10)], agreed=0)


def test_a_tail_rewritten_and_signed_again_shows_against_the_checkpoint_kept_elsewhere() -> None:
    leaves = log(12)
    forged = [*leaves[:11], encode_leaf("n", {"n": 99})]
    found = faults(forged, [head(forged, 12), head(forged, 8), ("mine", head(leaves, 12)[1])], agreed=12)
    assert found.startswith("the checkpoint of size 12 (mine): root at size 12 differs")
    assert "the log signed two histories; leaves 0..7 still agree with the older checkpoint of size 8" in found


def test_leaves_after_the_last_checkpoint_are_said_to_be_unsigned() -> None:
    leaves = log(12)
    assert "leaves 10..11 are under no checkpoint yet" in verifier.audit(leaves, [head(leaves, 10)]).holds
    assert verifier.audit(leaves, []) == verifier.Report([], ["leaves 0..11 are under no checkpoint yet"], 0)


def test_a_leaf_that_is_no_longer_canonical_is_named() -> None:
    leaves = log(12)
    for spoiled in (leaves[6].replace(b":", b": ", 1), leaves[6][:-1], b"[]", b'{"kind":"n"}', b"[" * 10**5):
        found = faults([*leaves[:6], spoiled, *leaves[7:]], [head(leaves, 12), head(leaves, 6)], agreed=6)
        assert found.startswith("leaf 6: is not")
        assert "root at size 12 differs" in found


def test_the_key_in_force_must_sign_each_checkpoint() -> None:
    leaves = log(12)
    found = faults(leaves, [head(leaves, 12, STRANGER)], agreed=0)
    wanted = f"is signed by {ORIGIN}+{STRANGER.public.id.hex()}, but the key in force at size 12 is {KEY.public.text}"
    assert found.endswith(wanted)
    other = Checkpoint("example.org/other", 12, naive_log.mth(leaves)).sign(KEY)
    assert "is of the log 'example.org/other', this one is 'example.org/log'" in faults(leaves, [("c", other)])
    altered = head(leaves, 12)[1].replace("\n12\n", "\n11\n")
    assert "does not hold: its text was altered" in faults(leaves, [("c", altered)])
    assert faults(leaves, [("c", "garbage")]).startswith("checkpoint c: is garbled")


def test_a_rotation_puts_the_new_key_in_force_from_its_leaf_on() -> None:
    leaves = [*log(5), encode_leaf("rotation", rotation_body(KEY, NEW.public)), encode_leaf("n", {})]
    good = [head(leaves, 5), head(leaves, 6, NEW), head(leaves, 7, NEW)]
    assert faults(leaves, good, agreed=7) == ""
    assert "the key in force at size 7 is" in faults(leaves, [head(leaves, 7, KEY)], agreed=0)
    assert "the key in force at size 5 is" in faults(leaves, [head(leaves, 5, NEW)], agreed=0)
    lost = faults(leaves[:5], [*good], agreed=5)
    assert "the log ends at 5 leaves, so a rotation after them may be lost" in lost


def test_a_rotation_that_the_key_in_force_did_not_sign_is_named() -> None:
    forged = encode_leaf("rotation", rotation_body(STRANGER, STRANGER.public))
    again = encode_leaf("rotation", rotation_body(KEY, NEW.public))
    renamed = encode_leaf("rotation", {**rotation_body(KEY, NEW.public), "name": "example.org/other"})
    elsewhere = encode_leaf("rotation", rotation_body(KEY, PublicKey("example.org/other", NEW.public.raw)))
    unsigned = encode_leaf("rotation", {**rotation_body(KEY, NEW.public), "signature": 3})
    for leaves, index in (
        ([*log(3), forged], 3),
        ([*log(3), again, again], 4),
        ([*log(3), renamed], 3),
        ([*log(3), elsewhere], 3),
        ([*log(3), unsigned], 3),
    ):
        wanted = f"leaf {index}: the rotation is not signed by the key in force"
        assert faults(leaves, [], agreed=0).startswith(wanted)


def test_the_first_leaf_and_only_the_first_sets_a_key() -> None:
    leaves = log(3)
    assert faults([], []) == "log: is empty: not even its key is there"
    assert "leaf 0: is of kind 'n', but the first leaf must hold the log's key" in faults(leaves[1:], [])
    assert "leaf 3: is of kind 'key', but only the first leaf may set a key" in faults([*leaves, leaves[0]], [])
    for body in ({"public": "AAAA"}, {"public": "?"}, {"public": "AB=="}, {"algorithm": "none"}, {"name": 4}):
        broken = encode_leaf("key", {**key_body(KEY.public), **body})
        assert faults([broken], []) == "leaf 0: holds no Ed25519 key"
    assert faults([b"{", *leaves[1:]], []) == "leaf 0: is not JSON: its bytes were altered"


def test_a_whole_log_rewritten_under_another_key_shows_against_the_pinned_key() -> None:
    forged = [encode_leaf("key", key_body(STRANGER.public)), encode_leaf("n", {"n": 2})]
    note = [head(forged, 2, STRANGER)]
    assert faults(forged, note, agreed=2) == ""
    assert faults(forged, note, pinned=f"{KEY.public.text}\n", agreed=0).startswith("leaf 0: sets the key")
    assert faults(forged, note, pinned=STRANGER.public.text, agreed=2) == ""


def run_faults(folder: Path, body: dict[str, object], agreed: int = 2) -> list[str]:
    """The faults of a run whose leaf has this body, in a log of two leaves."""
    leaves = [*log(1), encode_leaf("run", body)]
    return [str(fault) for fault in verifier.check_run(leaves, folder, agreed=agreed).faults]


def test_a_runs_leaf_must_be_under_a_checkpoint_and_name_artefacts_inside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"outside")
    run = tmp_path / "r"
    run.mkdir()
    (run / "a").write_bytes(b"inside")
    digest = hashlib.sha256(b"inside").hexdigest()
    assert run_faults(run, {"run": "r", "artefacts": {"a": digest}}) == []
    assert run_faults(run, {"run": "r", "artefacts": {"a": digest}}, agreed=1) == [
        "leaf 1: the run's leaf is under no checkpoint that holds (largest: 1)"
    ]
    for artefacts in (None, {}, []):
        assert run_faults(run, {"run": "r", "artefacts": artefacts}) == ["leaf 1: names no artefacts"]
    for name in ("../secret", str(tmp_path / "secret"), ".", ""):
        assert run_faults(run, {"run": "r", "artefacts": {name: digest}}) == [
            f"artefact {name}: leaf 1 names a file outside the run's folder"
        ]
    assert len(run_faults(run, {"run": "r", "artefacts": {"a": 3}})) == 1


def test_a_repeated_run_must_hold_what_one_of_its_leaves_names(tmp_path: Path) -> None:
    run = tmp_path / "r"
    run.mkdir()
    texts = (b"first", b"second")
    bodies = [{"run": "r", "artefacts": {"a": hashlib.sha256(text).hexdigest()}} for text in texts]
    leaves = [*log(1), *(encode_leaf("run", body) for body in bodies), b'{,"kind":"run"}']
    for text, index in ((b"first", 1), (b"second", 2)):
        (run / "a").write_bytes(text)
        assert verifier.check_run(leaves, run, agreed=3).holds == [f"run r: leaf {index}, 1 artefacts as logged"]
    (run / "a").write_bytes(b"third")
    assert "leaf 2 says" in str(verifier.check_run(leaves, run, agreed=3).faults[0])
