"""Other libraries' chatter is kept off the console, whatever level they set; what is wrong is not."""

from __future__ import annotations

import logging

import pytest

from azr.run.quiet import hush


def test_only_what_is_wrong_comes_through(caplog: pytest.LogCaptureFixture) -> None:
    hush()
    logger = logging.getLogger("ray.serve")
    logger.setLevel(logging.DEBUG)
    logger.info("Started Serve")
    logger.warning("slow")
    logger.error("broken")
    assert [record.message for record in caplog.records] == ["broken"]
