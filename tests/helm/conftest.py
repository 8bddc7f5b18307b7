# SPDX-License-Identifier: MIT
"""Every file of values in the chart's ci/ is a case."""
import pytest

import rendering
import tools


def pytest_generate_tests(metafunc):
    if "helm" in metafunc.fixturenames:
        metafunc.parametrize("helm", tools.HELMS)
    if "case" in metafunc.fixturenames:
        cases = rendering.cases()
        metafunc.parametrize("case", cases, ids=list(map(rendering.name_of, cases)))


@pytest.fixture
def rendered(case):
    """[(template, object)] of the case, by Helm 3; test_render compares with Helm 4."""
    return rendering.objects_of("helm3", case)
