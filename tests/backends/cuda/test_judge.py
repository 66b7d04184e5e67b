"""`make kernels-check`: its list of kernels is whole, the README's table is of these kernels, a bound can break."""

import re
import shutil
from pathlib import Path

import pytest
from deepgpu.kernels.emulator import compile_judge

from deepgpu.backends.cuda import judge, runtime
from deepgpu.backends.cuda.instances import INSTANCES, served

README = Path(__file__).parents[3] / "kernels" / "README.md"
needs_nvrtc = pytest.mark.skipif(compile_judge.missing() != [], reason="pip install 'deepgpu[kernels]'")


def kernels_of(file):
    """The names of the ``__global__`` functions of a source."""
    code = (runtime.kernel_folder() / file).read_text()
    heads = re.findall(r"__global__\s+void\s+(?:__launch_bounds__\((?:[^()]|\([^()]*\))*\)\s*)?(\w+)\s*\(", code)
    assert len(heads) == code.count("__global__")
    return heads


def test_every_source_is_listed():
    assert sorted(INSTANCES) == sorted(path.name for path in runtime.kernel_folder().glob("*.cu"))


@pytest.mark.parametrize("file", INSTANCES)
def test_every_kernel_has_instances_and_bounds(file):
    assert sorted({name.split("<")[0] for name in INSTANCES[file]}) == sorted(kernels_of(file))
    assert sorted(judge.declared(file)) == sorted(kernels_of(file))
    assert len(set(INSTANCES[file])) == len(INSTANCES[file])


def test_no_tensor_cores_below_sm_80():
    assert [n for n in served("gemm.cu", 75) if "mma" in n] == []
    assert served("gemm.cu", 80) == INSTANCES["gemm.cu"]


def test_the_table_in_the_readme_lists_every_instance_on_every_architecture():
    text = README.read_text()
    table = text[text.index(judge.BEGIN) : text.index(judge.END)]
    rows = {cells[1].strip(): cells[2:-1] for line in table.splitlines() if len(cells := line.split("|")) > 3}
    for file, names in INSTANCES.items():
        for name in names:
            assert f"`{name}`" in rows, f"{file}: `{name}` is not in kernels/README.md; `make kernels-check` lists it"
            expected = [a for a in compile_judge.ARCHITECTURES if name in served(file, a)]
            assert sum(bool(cell.strip()) for cell in rows[f"`{name}`"]) >= len(expected)
        for kernel, bounds in judge.declared(file).items():
            assert bounds in table, f"{kernel}: kernels/README.md has old bounds; `make kernels-check` writes them"
    listed = {name.strip("`") for name in rows if "<" in name}
    assert listed == {n for names in INSTANCES.values() for n in names if "<" in n}


@pytest.mark.parametrize("file", INSTANCES)
def test_the_table_in_the_readme_was_made_of_this_code(file):
    """So what is committed has passed the judge on all six architectures, of which a default run compiles for one."""
    found = re.search(rf"<!-- {re.escape(file)}: (\w+) -->", README.read_text())
    assert found, f"kernels/README.md has no table of {file}; `make kernels-check` writes it"
    assert found[1] == judge.code_digest(file), (
        f"{file} has changed: `make kernels-check` judges it, and writes the table"
    )


def test_what_the_table_was_made_of_is_code_and_bounds(tmp_path, monkeypatch):
    shutil.copytree(runtime.kernel_folder(), tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(judge, "kernel_folder", lambda: tmp_path)

    def digest(file, old, new):
        before = (tmp_path / file).read_text()
        assert old in before
        (tmp_path / file).write_text(before.replace(old, new, 1))
        try:
            return judge.code_digest("dropout.cu")
        finally:
            (tmp_path / file).write_text(before)

    own = judge.code_digest("dropout.cu")
    assert digest("dropout.cu", "// Idea", "// The idea") == own
    assert digest("dropout.cu", "GROUP = N", "GROUP  =  N") == own
    assert digest("transpose.cu", "tile[32][33]", "tile[32][32]") == own
    assert digest("dropout.cu", "registers <= 64", "registers <= 65") != own
    assert digest("dropout.cu", "N > 4", "N > 2") != own
    assert digest("include/philox.cuh", "round < 10", "round < 9") != own


def test_the_table_replaces_what_stands_between_the_markers():
    text = f"before\n{judge.BEGIN}\nOLD\n{judge.END}\nbehind\n"
    row = judge.Row("transpose.cu", "transpose<unsigned>", 90, 33, 8448, 0, ())
    new = judge.written(text, judge.markdown([row]))
    assert "OLD" not in new
    assert new.startswith("before\n")
    assert new.endswith("\nbehind\n")
    assert "| `transpose<unsigned>` | 33, 8448 B |" in new
    assert judge.written(new, judge.markdown([row])) == new
    with pytest.raises(ValueError, match="made by make kernels-check"):
        judge.written("no markers", "")


@needs_nvrtc
def test_a_broken_bound_is_reported(tmp_path, monkeypatch, capsys):
    code = (runtime.kernel_folder() / "transpose.cu").read_text()
    (tmp_path / "transpose.cu").write_text(code.replace("registers <= 40", "registers <= 4"))
    monkeypatch.setenv("DEEPGPU_CACHE", str(tmp_path / "cache"))
    (tmp_path / "include").symlink_to(runtime.kernel_folder() / "include")
    monkeypatch.setattr(judge, "kernel_folder", lambda: tmp_path)
    monkeypatch.setattr(judge, "judged_together", lambda files, archs, jobs: [judge.judged(files[0], archs[0])])
    assert judge.main(["transpose.cu", "--arch", "90"]) == 1
    out = capsys.readouterr().out
    assert re.search(r"transpose\.cu: sm_90: transpose<unsigned>: registers \d+ > 4", out)
    assert "break the bounds" in out
    assert judge.main(["transpose.cu", "--arch", "90"]) == 1  # what is kept says so, too


def test_a_file_that_is_not_there(capsys):
    with pytest.raises(SystemExit):
        judge.main(["gem.cu"])
    assert "no kernel file 'gem.cu'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        judge.main(["gemm.cu", "--write", "README.md"])
    assert "--write takes all files" in capsys.readouterr().err
