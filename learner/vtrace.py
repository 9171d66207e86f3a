"""V-trace as an optional estimator of advantages from off-policy responses.

There is no critic: the value of every state is the running baseline of the response's cell, so that V-trace here
answers what is left of a reward once it is discounted by how likely the present policy is to reach it.
The advantage already carries ρ̄; a weight on top would correct one ratio twice and is refused by `learner.objective`.

    δ_t = ρ̄_t (R_t + γ V_{t+1} - V_t)         V after the last token is 0, R_t is 0 before it
    v_t = V_t + δ_t + γ c̄_t (v_{t+1} - V_{t+1})
    A_t = ρ̄_t (R_t + γ v_{t+1} - V_t)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Vtrace:
    """Truncation levels and discount. `trace_decay` is λ: 1 keeps the trace, 0 looks one token ahead."""

    rho_max: float = 1.0
    c_max: float = 1.0
    trace_decay: float = 1.0
    discount: float = 1.0

    def advantages(self, log_ratio: Floats, reward: float, baseline: float) -> Floats:
        """Advantages of one response's tokens, given log ρ of each, its terminal reward and its cell's baseline."""
        tokens = len(log_ratio)
        if tokens == 0:
            return np.zeros(0)
        ratio = np.exp(log_ratio)
        rho = np.minimum(self.rho_max, ratio)
        trace = self.trace_decay * np.minimum(self.c_max, ratio)
        values = np.append(np.full(tokens, baseline), 0.0)
        rewards = np.zeros(tokens)
        rewards[-1] = reward

        targets = np.zeros(tokens + 1)
        for t in range(tokens - 1, -1, -1):
            delta = rho[t] * (rewards[t] + self.discount * values[t + 1] - values[t])
            targets[t] = values[t] + delta + self.discount * trace[t] * (targets[t + 1] - values[t + 1])
        return np.asarray(rho * (rewards + self.discount * targets[1:] - values[:-1]), dtype=np.float64)
