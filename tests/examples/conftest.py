# SPDX-License-Identifier: MIT
"""The examples under container/examples: rendered, and run with podman."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

pytest.register_assert_rewrite("lab")

import images  # noqa: E402  (the path above comes first)


@pytest.fixture(scope="session")
def postern_image():
    return images.postern()


@pytest.fixture(scope="session")
def dovecot_image():
    return images.dovecot()


@pytest.fixture(scope="session")
def postfix_image():
    return images.postfix()
