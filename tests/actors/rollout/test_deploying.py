"""What Serve is told when replicas are to start, and that it is told again if its controller is on its way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorAlreadyExistsError, ActorDiedError

from actors.engine.settings import EngineSettings
from actors.rollout import deployment
from actors.rollout.deployment import Rollouts, environment_of
from azr.config.sections.rollout import RolloutConfig
from azr.config.sections.weights import WeightsConfig
from azr.errors import AzrError


@pytest.fixture
def rollouts(tmp_path: Path) -> Rollouts:
    rollout = RolloutConfig(separate_roles=True)
    return Rollouts("deploying", EngineSettings.of("model", rollout, WeightsConfig()), tmp_path)


def test_engines_have_the_environment_of_their_own_run_and_not_of_whoever_started_serve(
    monkeypatch: pytest.MonkeyPatch, rollouts: Rollouts
) -> None:
    own = {
        "working_dir": "gcs://_ray_pkg_0.zip",
        "pip": {"packages": ["their-plug-in"]},
        "env_vars": {"HF_HOME": "/shared", "OMP_NUM_THREADS": "9"},
    }
    told: dict[str, Any] = {}

    def run(application: Any, *, name: str, **_options: object) -> None:
        told[name] = application._bound_deployment.ray_actor_options["runtime_env"]

    monkeypatch.setattr("ray.get_runtime_context", lambda: SimpleNamespace(runtime_env=own))
    monkeypatch.setattr("ray.serve.start", lambda **_options: None)
    monkeypatch.setattr("ray.serve._run", run)
    rollouts.deploy()
    assert told.keys() == {"deploying-propose", "deploying-solve"}
    for environment in told.values():
        assert {key: environment[key] for key in ("working_dir", "pip")} == {
            key: own[key] for key in ("working_dir", "pip")
        }
        assert environment["env_vars"] == {"HF_HOME": "/shared"} | rollouts.settings.environment()


def test_where_the_driver_has_no_environment_engines_have_their_variables_alone() -> None:
    """Ray starts workers in advance for as little as can be said, and everything more is one to wait for."""
    assert environment_of({}, {"A": "1"}) == {"env_vars": {"A": "1"}}


class TestServeThatIsBeingShutDown:
    """By a run that ends as this one starts."""

    def _told(
        self, monkeypatch: pytest.MonkeyPatch, rollouts: Rollouts, start: Callable[[], None], deploy: Callable[[], None]
    ) -> list[str]:
        told: list[str] = []

        def started(**_options: object) -> None:
            told.append("serve")
            start()

        def deployed(pool: str) -> None:
            told.append(pool)
            deploy()

        monkeypatch.setattr(deployment, "_SERVE_SECONDS", 0.0)
        monkeypatch.setattr(deployment, "_DEPLOY_TRIES", 3)
        monkeypatch.setattr("ray.serve.start", started)
        monkeypatch.setattr(rollouts, "_deploy", deployed)
        rollouts.deploy()
        return told

    def test_the_next_one_is_told_of_every_pool(self, monkeypatch: pytest.MonkeyPatch, rollouts: Rollouts) -> None:
        starts, deploys = iter([None, ActorAlreadyExistsError("taken"), None]), iter([None, ActorDiedError()])
        told = self._told(monkeypatch, rollouts, lambda: _raise(next(starts)), lambda: _raise(next(deploys, None)))
        assert told == ["serve", "propose", "solve", "serve", "serve", "propose", "solve"]

    def test_one_that_is_always_gone_is_named(self, monkeypatch: pytest.MonkeyPatch, rollouts: Rollouts) -> None:
        with pytest.raises(AzrError, match=r"^Ray Serve's controller was gone 3 times"):
            self._told(monkeypatch, rollouts, lambda: None, lambda: _raise(ActorDiedError()))


def _raise(error: Exception | None) -> None:
    if error:
        raise error
