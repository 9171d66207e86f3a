"""What the run asks of its engines before any is started."""

from __future__ import annotations

from pathlib import Path

from azr.config.root import Config
from azr.run.engines import weights_folder
from azr.run.local_ray import driver_name


def test_versions_lie_in_a_folder_of_this_driver_also_below_one_that_the_user_names(tmp_path: Path) -> None:
    config = Config()
    assert weights_folder(config) == Path(f"/dev/shm/azr-{driver_name(config)}")
    config.weights.folder = str(tmp_path)
    assert weights_folder(config) == tmp_path / f"azr-{driver_name(config)}"
