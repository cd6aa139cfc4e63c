"""The tutorials' errors that change a number, each with what is right and both run on both sides."""

from handgrad.errata import building_blocks, double_sigmoid, four_people, layered_lesson, or_gate, symptoms
from handgrad.errata.entry import Erratum, Value

_FILES = (building_blocks, double_sigmoid, layered_lesson, or_gate, symptoms, four_people)

# By their numbers in a list of all errors found; the ones left out change no number.
ERRATA: dict[str, Erratum] = {
    erratum.id: erratum
    for erratum in sorted((e for file in _FILES for e in file.ERRATA), key=lambda erratum: int(erratum.id[1:]))
}

__all__ = ["ERRATA", "Erratum", "Value"]
