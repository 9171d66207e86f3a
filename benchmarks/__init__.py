"""The commands behind every published number. `azr bench list` names them; `azr.bench` runs them."""
