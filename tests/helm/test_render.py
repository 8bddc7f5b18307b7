# SPDX-License-Identifier: MIT
"""Every case renders: without a warning, the same each time and by both Helms, and Kubernetes takes it."""
import objects
import pytest
import rendering
import tools

FEWEST_CASES = 25


def test_there_are_cases_enough():
    assert len(rendering.cases()) >= FEWEST_CASES


def test_lint_finds_nothing(helm, case, tmp_path):
    version = ["--kube-version", case.kube_version] if case.kube_version else []
    done = tools.run(helm, "lint", "--strict", tools.CHART, "--values", case.path, *version, home=tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "[WARNING]" not in said and "[ERROR]" not in said, said
    assert "1 chart(s) linted, 0 chart(s) failed" in said


def test_both_helms_render_the_same(case):
    """But for empty lines between documents."""
    third, fourth = ([(document.source, document.text.strip())
                      for document in rendering.documents(rendering.text_of(helm, case))]
                     for helm in tools.HELMS)
    assert third == fourth


def test_rendering_again_gives_the_same(helm, case):
    again = rendering.template(helm, *rendering.arguments_of(case))
    assert again == rendering.text_of(helm, case)


def test_helm_says_nothing_besides(helm, case):
    """Helm warns of a default that a value cannot take the place of, for instance."""
    done = tools.run(helm, "template", rendering.RELEASE, tools.CHART,
                     *rendering.arguments_of(case), home=rendering.home())
    assert done.stderr == ""


def test_no_key_is_there_twice_and_no_document_is_empty(case):
    for document in rendering.documents(rendering.text_of("helm3", case)):
        assert document.object, f"{document.source}: an empty document"


def test_nothing_is_null(rendered):
    left = [f"{objects.title(obj)}: {'.'.join(path)}" for obj in objects.own(rendered)
            for path, value in objects.walk(obj) if value is None]
    assert not left


def test_no_object_is_there_twice(rendered):
    names = [(obj["kind"], obj["metadata"].get("namespace"), obj["metadata"]["name"])
             for _, obj in rendered]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("version", tools.kubernetes_versions())
def test_kubernetes_takes_it(version, tmp_path):
    """Rendered for that version, and judged by its schemas."""
    folder = tmp_path / "rendered"
    folder.mkdir()
    count = 0
    for case in rendering.cases():
        text = rendering.text_of("helm3", case, kube_version=version)
        (folder / f"{rendering.name_of(case)}.yaml").write_text(text)
        count += len(rendering.documents(text))
    results = tools.kubeconform(version, folder, tmp_path)
    assert tools.complaints(results) == []
    assert len(results) == count
