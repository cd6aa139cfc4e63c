"""Mutants of the update rules and schedulers that no test can tell from the code, each with its reason."""

from parity_tests.mutants.equivalent.form import Equivalent

COSINE_IS_EVEN = "the cosine of -x is that of x, bit for bit"

EQUIVALENT: Equivalent = {
    ("manual/optim/lr_scheduler/annealing.py", "raised_cosine"): {
        (
            "return 1 + math.cos(math.pi * t / period)",
            "return 1 + math.cos(-(math.pi * t / period))",
        ): COSINE_IS_EVEN,
    },
    ("manual/optim/lr_scheduler/annealing.py", "CosineAnnealingLR.get_lr"): {
        (
            "before, now = raised_cosine(t - 1, self.T_max), raised_cosine(t, self.T_max)",
            "before, now = raised_cosine(1 - t, self.T_max), raised_cosine(t, self.T_max)",
        ): COSINE_IS_EVEN,
        (
            "rise = 1 - math.cos(math.pi / self.T_max)",
            "rise = 1 - math.cos(-(math.pi / self.T_max))",
        ): COSINE_IS_EVEN,
    },
    ("manual/optim/lr_scheduler/cycles.py", "CyclicLR.get_lr"): {
        (
            "h = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)",
            "h = x / self.step_ratio if x < self.step_ratio else (x - 1) / (self.step_ratio - 1)",
        ): "at the top both lines are at height 1, bit for bit",
    },
    ("manual/optim/muon.py", "orthogonalized"): {
        (
            "tall = d.shape[0] > d.shape[1]",
            "tall = d.shape[0] >= d.shape[1]",
        ): "a square matrix may be turned or not: U S' V^T is the same",
    },
}
