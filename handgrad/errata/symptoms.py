"""Part I's virus case: two patients who contradict each other, and what was read off the weights."""

from dataclasses import replace
from functools import cache

import numpy as np

from handgrad import experiments
from handgrad.data import contradictions
from handgrad.errata.entry import PART_1, Erratum, Finding, Value, both, each
from handgrad.errata.or_gate import error
from handgrad.errata.pair import HALF_SSE, Pair, start, trained, virus
from handgrad.experiment import Loss
from handgrad.experiments._gates import perceptron_state
from handgrad.experiments.virus import SYMPTOMS, patients
from handgrad.loop import run
from handgrad.sides import ManualSide

SUMMED_CE = Loss("cross_entropy", 1.0, "sum")
WITHOUT_ROW_3 = tuple(row for row in range(8) if row != 2)
WITHOUT_ROW_6 = tuple(row for row in range(8) if row != 5)
PATIENT = [[1.0, 0.0, 0.0, 1.0]]

AS_PUBLISHED = (10.163499197816572, 0.4574494858916672, 2.974417824240298, 2.9938137993651273)
NO_ROW_3 = (11.175699760365928, 1.057033499216889, 4.892094451838633, 4.895530522131017)
NO_ROW_6 = (9.401607220891, -1.4530183625317816, -2.8562478302695067, -1.4942326456362232)
BIAS_OF_FIGURE = (10.158307265924654, 0.450960599061516, 2.9712509252169985, 2.9906210804611577)


def weights(name: str, pair: Pair, stated: tuple[float, ...]) -> list[Value]:
    """Return the four symptoms' weights on both sides."""
    hand, autograd = pair.weights()
    return each([f"{name}: {symptom}" for symptom in SYMPTOMS], (hand[:4], autograd[:4]), stated)


def contradicting(pair: Pair) -> tuple[str, str]:
    """Return the rows that no function can get right together, counted from 1, in each side's samples."""
    found = [contradictions(np.asarray(s.inputs), np.asarray(s.targets)) for s in (pair.hand, pair.autograd)]
    hand, autograd = ("; ".join(" and ".join(map(str, rows)) for rows in groups) or "none" for groups in found)
    return hand, autograd


def e12() -> list[Finding]:
    """The contradiction, the floor under every function's error, what was reached, and each row left out."""
    table = patients()
    best = [float(t) for t in table.targets.ravel()]
    best[2] = best[5] = 0.5
    targets = table.targets.ravel().tolist()
    return [
        both("rows with equal inputs and unlike targets", contradicting(virus()), "3 and 6"),
        both("the same without row 3", contradicting(virus(WITHOUT_ROW_3)), "none"),
        both("the same without row 6", contradicting(virus(WITHOUT_ROW_6)), "none"),
        "All other rows exactly right, and 0.5 for rows 3 and 6, the best that one output can do for both:",
        both("1/2 sum of squares, the floor", error(HALF_SSE, best, targets), 0.25),
        both("summed cross-entropy, the floor", error(SUMMED_CE, best, targets), 1.3862943611198906),
        "After 10,000 epochs:",
        both("published rule: 1/2 sum of squares", virus().losses(), 0.2528272919728902),
        both("right gradient: 1/2 sum of squares", virus(published=False).losses(), 0.2598667032199763),
        both("output for rows 3 and 6", virus().outputs([[0, 0, 1, 1]]), 0.47267477680312975),
        *weights("all rows", virus(), AS_PUBLISHED),
        *weights("without row 3", virus(WITHOUT_ROW_3), NO_ROW_3),
        *weights("without row 6", virus(WITHOUT_ROW_6), NO_ROW_6),
        both("without row 6: 1/2 sum of squares", virus(WITHOUT_ROW_6).losses(), 0.00016732235495940756),
    ]


def e14() -> list[Finding]:
    """The bias weight of the figure and that of the code, untrained and trained."""
    untrained = {bias: start_at(bias).outputs(PATIENT) for bias in (0.5, 0.3)}
    figure = virus(bias=0.5)
    moved = [float(np.abs(a - b).max()) for a, b in zip(figure.weights(), virus().weights(), strict=True)]
    return [
        both("untrained, bias 0.5: output for (1,0,0,1)", untrained[0.5], 0.7310585786300049),
        both("untrained, bias 0.3: output for (1,0,0,1)", untrained[0.3], 0.6899744811276125),
        *weights("from 0.5", figure, BIAS_OF_FIGURE),
        both("from 0.5: bias", [side[4] for side in figure.weights()], -6.071591554083237),
        both("largest change of a trained parameter", moved, AS_PUBLISHED[1] - BIAS_OF_FIGURE[1]),
        both("trained from 0.5: output for (1,0,0,1)", figure.outputs(PATIENT)),
        both("trained from 0.3: output for (1,0,0,1)", virus().outputs(PATIENT), 0.999158658709753),
    ]


def start_at(bias: float) -> Pair:
    """Return both sides of the virus case before any step, with this bias."""
    experiment = experiments.get("virus")
    return start(replace(experiment, weights=lambda seed, network: perceptron_state([0.1, 0.2, 0.3, 0.4], bias)))


@cache
def without_weight_loss() -> Pair:
    """Return both sides trained on the three other symptoms."""
    experiment = experiments.get("virus").as_published()
    table = patients()
    three = replace(table, inputs=table.inputs[:, [0, 2, 3]], features=(SYMPTOMS[0], *SYMPTOMS[2:]))
    network = replace(experiment.network, sizes=(3, 1))
    state = perceptron_state([0.1, 0.3, 0.4], 0.3)
    return trained(replace(experiment, data=lambda: three, network=network, weights=lambda seed, network: state))


@cache
def ten_times_longer() -> ManualSide:
    """Return the hand-written side of the virus case after 100,000 epochs, as published."""
    experiment = replace(experiments.get("virus").as_published(), epochs=100_000)
    side = ManualSide(experiment, experiment.data(), experiment.weights(0, experiment.network))
    run(experiment, 8, side.step, lambda epoch: None)
    return side


def e18() -> list[Finding]:
    """The weight of weight loss: left out, trained longer, and with one patient less."""
    dropped = without_weight_loss()
    longer = ten_times_longer()
    hand, autograd = (side[1] for side in virus().weights())
    odds = [float(np.exp(side)) for side in (hand, autograd)]
    return [
        both("weight of weight loss, 10,000 epochs", (hand, autograd), 0.4574494858916672),
        both("what it multiplies the odds by", odds, float(np.exp(AS_PUBLISHED[1]))),
        both("1/2 sum of squares, four symptoms", virus().losses(), 0.2528272919728902),
        both("1/2 sum of squares, without weight loss", dropped.losses(), 0.25291399430216427),
        "Ten times longer, by hand alone (autograd would take ten times as long as above):",
        Value("weight of weight loss, 100,000 epochs", float(longer.flat_parameters()[1]), None, 1.55805, atol=5e-6),
        "With patient 6 left out, 10,000 epochs:",
        both("weight of weight loss", [side[1] for side in virus(WITHOUT_ROW_6).weights()], NO_ROW_6[1]),
    ]


ERRATA = (
    Erratum(
        "E12",
        PART_1,
        "Patients 3 and 6 have the same symptoms and opposite results",
        says="The data of the examples is linearly separable.",
        right="Rows 3 and 6 are both (0,0,1,1), with targets 0 and 1: no function at all can have both right.",
        effect="1/2 sum of squares cannot fall below 0.25 nor summed cross-entropy below 2 log 2. Which of the two "
        "rows is kept decides the signs of three weights.",
        ran="10,000 epochs at rate 0.05: all rows (both rules), without row 3, without row 6 (as published)",
        run=e12,
    ),
    Erratum(
        "E14",
        PART_1,
        "The bias has one weight in the figure and another in the code",
        says="The figure of the virus case draws the bias with weight 0.5; the code starts it at 0.3.",
        right="The trained numbers belong to 0.3.",
        effect="The untrained output differs by 0.04; after training no parameter differs by more than 0.0065.",
        ran="10,000 epochs at rate 0.05 from either bias, as published",
        run=e14,
    ),
    Erratum(
        "E18",
        PART_1,
        "Weight loss has an effect, and it is still growing when the training stops",
        says="Weight loss hardly influences the result and can be dropped.",
        right="Its weight is small because the training is short, and the contradictory rows decide its sign (E12).",
        effect="Leaving it out changes the error in the fourth digit, but a longer training more than trebles its "
        "weight, and one patient less makes it negative.",
        ran="10,000 epochs at rate 0.05, as published, with and without the column; 100,000 epochs by hand alone",
        run=e18,
    ),
)
