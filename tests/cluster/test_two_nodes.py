"""Two nodes, each with its own network, host name and shared memory: weights and tasks cross between them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.head import Head
from tests.cluster.second_node import Cable, SecondNode, lacking

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the program of `two_nodes` found on two nodes."""
    if reason := lacking():
        pytest.skip(f"no namespaces for a second node: {reason}")
    folder = tmp_path_factory.mktemp("two")
    cable = Cable()
    head = Head(ROOT, node_address=cable.addresses[0])
    try:
        head.wait()
        second = SecondNode(cable, head.gcs, head.environment, own=[head.folder / "ray"])
        try:
            words = [head.gcs, str(folder / "model"), str(folder / "run")]
            done = subprocess.run(
                [sys.executable, "-m", "tests.cluster.two_nodes", *words],
                cwd=ROOT,
                env=head.environment,
                capture_output=True,
                text=True,
                timeout=600,
                check=False,
            )
            assert done.returncode == 0, done.stderr[-5000:]
            yield {"addresses": list(cable.addresses), "found": json.loads(done.stdout.splitlines()[-1])}
        finally:
            second.close()
    finally:
        head.close()
        cable.close()


def test_an_engine_stands_on_each_node(found: dict[str, Any]) -> None:
    assert found["found"]["addresses"] == sorted(found["addresses"])


def test_new_weights_reach_both_and_are_confirmed(found: dict[str, Any]) -> None:
    assert found["found"]["complete"] == [True, True]
    assert found["found"]["missing"] == [[], []]


def test_both_answer_with_the_newest_weights_and_record_their_log_probs(found: dict[str, Any]) -> None:
    assert found["found"]["replicas"] == 2
    assert found["found"]["versions"] == [2]
    assert found["found"]["gap"] <= 1e-5


def test_tasks_of_the_second_node_are_in_the_buffers(found: dict[str, Any]) -> None:
    assert found["found"]["host"] == "azr-second"
    assert found["found"]["added"] == found["found"]["held"] == 50


def test_a_registry_that_dies_comes_back_where_its_versions_lie(found: dict[str, Any]) -> None:
    assert found["found"]["registry_stays"]
