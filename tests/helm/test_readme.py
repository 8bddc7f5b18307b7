# SPDX-License-Identifier: MIT
"""README.md of the chart is what helm-docs makes of values.yaml and README.md.gotmpl."""
import shutil

import tools


def test_the_readme_is_up_to_date(tmp_path):
    copy = tmp_path / "postern"
    shutil.copytree(tools.CHART, copy)
    (copy / "README.md").unlink(missing_ok=True)
    done = tools.run("helm-docs", "--chart-search-root", copy, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tools.CHART / "README.md").read_text() == (copy / "README.md").read_text(), \
        "make it anew: helm-docs --chart-search-root helm/postern"
